import { ALLOWANCES } from "../../shared/src/contract.gen";
import { openDatabase } from "../../shared/src/database";
import { within } from "../../shared/src/deadline";
import { dayMs } from "../../shared/src/limits/limits";
import { Ledger } from "../../shared/src/money/ledger";
import { Problem } from "../../shared/src/problem";
import type { Disk } from "./disk";

const { reconcileMs, ledgerLagMs, decideMs } = ALLOWANCES.keeping;

/** What the ledger has of a day, up to a time. */
interface Used {
  readonly used: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** When a limiter is to look at the ledger, and what it finds there. */
export class Books {
  readonly #db: Hyperdrive;
  readonly #disk: Disk;
  #looking: Promise<Used | undefined> | undefined;
  /** Whose ledger account it is; undefined until somebody said. */
  account: string | undefined;
  lookMs: number | null = null;

  constructor(db: Hyperdrive, disk: Disk) {
    this.#db = db;
    this.#disk = disk;
    const kept = disk.ledger();
    this.account = kept?.account;
    this.lookMs = kept?.lookMs ?? null;
  }

  /** Nobody has looked yet. */
  get unknown(): boolean {
    return this.account === undefined || this.#looking !== undefined;
  }

  /** An account that spends is looked at again after a while. */
  spent(micro: number, nowMs: number): void {
    if (micro > 0 && this.account !== undefined && this.lookMs === null) {
      this.#next(this.account, nowMs + reconcileMs);
    }
  }

  /**
   * Asks the ledger once, however many want to know. Where it does not answer in time, they go on without: what has been spent where
   * this object did not see it is then found later.
   */
  look(account: string, nowMs: number): Promise<Used | undefined> {
    this.#looking ??= this.#ask(account, nowMs).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #ask(account: string, nowMs: number): Promise<Used | undefined> {
    const fromMs = Math.floor(nowMs / dayMs) * dayMs;
    const first = this.account === undefined;
    // A new object has seen nothing itself; one that is not new knows what was settled while the ledger did not have it yet.
    const toMs = first ? nowMs : nowMs - ledgerLagMs;
    const db = openDatabase(this.#db);
    try {
      const asking = new Ledger(db).usedBetween(account, fromMs, toMs);
      const used = await within(decideMs / 2, asking, () => new Problem(504, "ledger_timeout"));
      this.#next(account, null);
      return { used, fromMs, toMs };
    } catch (error) {
      console.error(JSON.stringify({ worker: "rate-limiter-do", what: "ledger not read", cause: String(error) }));
      this.#next(account, nowMs + reconcileMs);
      return undefined;
    } finally {
      void db.close(); // a database that does not answer does not say goodbye either
    }
  }

  #next(account: string, lookMs: number | null): void {
    this.#disk.keepLedger(account, lookMs);
    this.account = account;
    this.lookMs = lookMs;
  }
}
