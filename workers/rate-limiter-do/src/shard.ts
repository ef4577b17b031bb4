import { ALLOWANCES } from "../../shared/src/contract.gen";
import { within } from "../../shared/src/deadline";
import type { Account } from "../../shared/src/limits/budget";
import { asking, givingBack, granted, type Lease, leaseIn, type Word } from "../../shared/src/limits/lease";
import type { Allowance, Limits, Own, Sharing } from "../../shared/src/limits/limits";
import { Problem } from "../../shared/src/problem";
import type { Disk } from "./disk";

/** After which a lender is asked again: one that had nothing to lend, and one that may have been given other limits. */
const againMs = 1_000;
const freshMs = 60_000;

/** What an object knows that spends what another lends. */
export class Shard {
  readonly #disk: Disk;
  readonly #lenderOf: (name: string) => Limits;
  #lease: Lease;
  #heardMs = Number.NEGATIVE_INFINITY;
  #shortMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<Own | null | undefined> | undefined;

  constructor(disk: Disk, lenderOf: (name: string) => Limits) {
    this.#disk = disk;
    this.#lenderOf = lenderOf;
    this.#lease = disk.lease();
  }

  /** What may be spent and held in a window. */
  micro(window: number): number {
    return leaseIn(this.#lease, window).micro;
  }

  /** Whether the lender has to be asked before so much more can be decided about. */
  lacks(account: Account, more: number, nowMs: number): boolean {
    const short = account.spent + account.held + more > this.micro(account.window) && nowMs - this.#shortMs >= againMs;
    return short || nowMs - this.#heardMs >= freshMs;
  }

  /** Asks once for all who wait. Gives the lender's own limits; undefined: it did not answer, and the shard goes on with what it has. */
  ask(allowance: Allowance, sharing: Sharing, account: Account, more: number): Promise<Own | null | undefined> {
    this.#asking ??= this.#ask(allowance, sharing, account, more).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(allowance: Allowance, sharing: Sharing, account: Account, more: number): Promise<Own | null | undefined> {
    const wanted = account.spent + account.held + more;
    const { lease, word } = asking(leaseIn(this.#lease, account.window), wanted);
    this.#keep(lease);
    let own: Own | null | undefined;
    try {
      const lending = this.#lenderOf(sharing.lender).lend(allowance, sharing, word);
      const said = await within(ALLOWANCES.keeping.decideMs / 2, lending, () => new Problem(504, "lender_timeout"));
      this.#keep(granted(this.#lease, word.seq, said.window, said.micro));
      this.#heardMs = Date.now();
      own = said.own;
    } catch (error) {
      console.error(JSON.stringify({ worker: "rate-limiter-do", what: "lender down", cause: String(error) }));
    }
    if (this.micro(account.window) < wanted) {
      this.#shortMs = Date.now();
    }
    return own;
  }

  giveBack({ window, spent, held }: Account): Word {
    const { lease, word } = givingBack(leaseIn(this.#lease, window), spent + held);
    this.#keep(lease);
    return word;
  }

  #keep(lease: Lease): void {
    if (lease !== this.#lease) {
      this.#disk.keepLease(lease);
      this.#lease = lease;
    }
  }
}
