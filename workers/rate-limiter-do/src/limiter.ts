import { DurableObject } from "cloudflare:workers";

import { ALLOWANCES } from "../../shared/src/contract.gen";
import { hear, type Told } from "../../shared/src/limits/advance";
import { type Account, pass, remainingOf, renew, reserve, type Settled, settle } from "../../shared/src/limits/budget";
import type { Word } from "../../shared/src/limits/lease";
import {
  type Admission,
  type Allowance,
  budgetOf,
  dayMs,
  effective,
  type Heard,
  type Lending as Lent,
  type Limits,
  type Own,
  type Sharing,
  type Standing,
  shareOf,
  type Wanted,
} from "../../shared/src/limits/limits";
import { decideRate, type Rate, type RateDecision, returned } from "../../shared/src/limits/rate";
import { Books } from "./books";
import { Disk } from "./disk";
import type { Env } from "./env.gen";
import { Kept } from "./kept";
import { Lending } from "./lending";
import { Shard } from "./shard";

/** The day itself, whatever may be spent in it. */
const day = budgetOf({ rate: { count: 1, periodMs: 1, burst: 1 }, micro: 0 });

/**
 * Keeps the rate and the budget of one caller or tenant. An object is one thread, and no decision waits for anything between reading and
 * writing, so decisions follow one another; no answer leaves before what it says is on disk. Callers leave the time out: clocks differ,
 * and one that is ahead would end the holds of others.
 */
export class Limiter extends DurableObject<Env> implements Limits {
  readonly #disk: Disk;
  readonly #books: Books;
  readonly #kept: Kept;
  readonly #account: Account;
  readonly #shard: Shard;
  readonly #lending: Lending;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#disk = new Disk(ctx.storage.sql);
    this.#kept = new Kept(ctx, this.#disk);
    this.#account = this.#kept.account;
    this.#books = new Books(env.DB, this.#disk);
    const other = (name: string) => env.LIMITS.getByName(name) as unknown as Limits;
    this.#shard = new Shard(this.#disk, other);
    this.#lending = new Lending(this.#disk, other);
  }

  /** Takes the weight out of the rate and the most it may cost out of the budget; or neither, where one of them has not enough. */
  async admit(allowance: Allowance, wanted: Wanted, at?: number): Promise<Admission> {
    await this.#prepare(allowance, wanted.account, wanted.micro, at);
    const nowMs = at ?? Date.now();
    const { rate, micro } = this.#now(allowance, nowMs);
    const budget = budgetOf({ rate, micro });
    const decision = decideRate(rate, this.#kept.meter, nowMs, wanted.weight, this.#account.unused);
    if (!decision.admitted) {
      pass(budget, this.#account, nowMs);
      return admission("rate", rate, decision, remainingOf(budget, this.#account), decision.retryMs);
    }
    const held = reserve(budget, this.#account, nowMs, wanted.id, wanted.micro);
    if (held.outcome !== "held") {
      return admission(
        "budget",
        rate,
        this.#unused(rate, decideRate(rate, this.#kept.meter, nowMs, 0, this.#account.unused), nowMs),
        held.remaining,
        held.retryMs,
      );
    }
    this.#kept.write(wanted.micro > 0 && held.change !== undefined ? [held.change] : [], decision.meter);
    await this.#kept.wake(this.#books.lookMs);
    return admission("admitted", rate, this.#unused(rate, decision, nowMs), held.remaining);
  }

  /** What was taken in advance and is not used is there for its caller. */
  #unused(rate: Rate, { meter }: RateDecision, nowMs: number): RateDecision {
    return decideRate(rate, returned(meter, this.#account.unused), nowMs, 0);
  }

  /**
   * What a call did cost; 0 gives back all that was held for it. It counts at once and is written with the next admission, or soon: who
   * settles waits for the disk, and nobody waits for who settles.
   */
  async settle(allowance: Allowance, id: string, micro: number, at?: number): Promise<Omit<Settled, "change">> {
    if (allowance.of !== undefined) {
      await this.#borrow(allowance, allowance.of, Math.max(0, micro - (this.#account.holds.get(id)?.micro ?? 0)), at ?? Date.now());
    }
    const nowMs = at ?? Date.now();
    const { change, ...answer } = settle(budgetOf(this.#now(allowance, nowMs)), this.#account, nowMs, id, micro);
    if (change !== undefined) {
      this.#kept.settle(change);
      this.#books.spent(answer.micro, nowMs);
    }
    await this.#kept.settled();
    await this.#kept.wake(this.#books.lookMs);
    return answer;
  }

  /** Hears what became of what was taken in advance, and grants more; on disk before it is answered. */
  async advance(allowance: Allowance, told: Told, account?: string, at?: number): Promise<Heard> {
    await this.#prepare(allowance, account, told.want.micro, at);
    const nowMs = at ?? Date.now();
    const { rate, micro } = this.#now(allowance, nowMs);
    const purse = { budget: budgetOf({ rate, micro }), rate, part: ALLOWANCES.keeping.advancePart };
    const { changes, counted, ...heard } = hear(purse, this.#account, this.#kept.meter, nowMs, told);
    if (changes.length > 0) {
      this.#kept.write(changes, heard.meter);
      this.#books.spent(counted, nowMs);
      await this.#kept.wake(this.#books.lookMs);
    }
    return { ...heard, rate };
  }

  /** Holds on to what a call that is still going on holds. */
  async renew(id: string, at?: number): Promise<void> {
    const change = renew(day, this.#account, at ?? Date.now(), id);
    if (change !== undefined) {
      this.#kept.write([change]);
    }
  }

  /** Undoes an admission: the call was never made. Said again, or of one that was refused, it does nothing. */
  async cancel(allowance: Allowance, id: string, weight: number, at?: number): Promise<void> {
    const nowMs = at ?? Date.now();
    const { change } = settle(budgetOf(this.#now(allowance, nowMs)), this.#account, nowMs, id, 0);
    const held = this.#account.holds.has(id);
    this.#kept.write(
      change === undefined ? [] : [change],
      held && this.#kept.meter !== undefined ? returned(this.#kept.meter, weight) : undefined,
    );
    await this.#kept.wake(this.#books.lookMs);
  }

  async show(allowance: Allowance, at?: number): Promise<Standing> {
    await this.#kept.settled();
    const nowMs = at ?? Date.now();
    const now = effective(allowance, this.#kept.own, nowMs);
    const counting = this.#now(allowance, nowMs);
    const { remaining, resetMs } = this.#unused(
      counting.rate,
      decideRate(counting.rate, this.#kept.meter, nowMs, 0, this.#account.unused),
      nowMs,
    );
    const { spent, held, holds, window } = this.#account;
    const left = remainingOf(budgetOf(counting), this.#account);
    return {
      allowance: now,
      own: this.#kept.own,
      remaining,
      resetMs,
      spent,
      held,
      holds: holds.size,
      left,
      dayEndsMs: (window + 1) * dayMs,
    };
  }

  async set(own: Own | null): Promise<void> {
    this.#kept.setOwn(own);
    await this.#lending.recall(); // what it lent, it lent under other limits
  }

  async lend(allowance: Allowance, sharing: Sharing, word: Word): Promise<Lent> {
    const nowMs = Date.now();
    pass(day, this.#account, nowMs);
    const micro = await this.#lending.lend(effective(allowance, this.#kept.own, nowMs).micro, this.#account, sharing, word);
    return { window: word.window, micro, own: this.#kept.own };
  }

  async giveBack(): Promise<Word> {
    this.#kept.write(); // what is held on disk for what was settled would be more than what is kept
    pass(day, this.#account, Date.now());
    return this.#shard.giveBack(this.#account);
  }

  /** The alarm is there so that what has expired does not lie on disk for ever, and for the ledger. */
  override async alarm(): Promise<void> {
    this.#kept.woken();
    const { account, lookMs } = this.#books;
    if (account !== undefined && lookMs !== null && lookMs <= Date.now()) {
      await this.#learn(account, Date.now());
    }
    pass(day, this.#account, Date.now());
    this.#kept.forget();
    await this.#kept.wake(this.#books.lookMs);
  }

  /** Asks the ledger where nobody has yet, and the lender for what a shard lacks. */
  async #prepare(allowance: Allowance, account: string | undefined, micro: number, at: number | undefined): Promise<void> {
    if (account !== undefined && this.#books.unknown) {
      await this.#learn(account, at ?? Date.now());
    }
    if (allowance.of !== undefined) {
      await this.#borrow(allowance, allowance.of, micro, at ?? Date.now());
    }
  }

  /** What counts of an allowance: of one that is shared a shard's part, and else what is not lent to shards. */
  #now(allowance: Allowance, nowMs: number): Allowance {
    pass(day, this.#account, nowMs);
    const { rate, micro } = effective(allowance, this.#kept.own, nowMs);
    const { window } = this.#account;
    return allowance.of === undefined
      ? { rate, micro: micro - this.#lending.lent(window) }
      : { rate: shareOf(rate, allowance.of.shards), micro: this.#shard.micro(window) };
  }

  /** Asks the lender where a shard lacks something; twice, for others may take what it was lent while it asked. What is held at midnight, too, has to be lent anew. */
  async #borrow(allowance: Allowance, sharing: Sharing, micro: number, nowMs: number): Promise<void> {
    pass(day, this.#account, nowMs);
    for (let n = 0; n < 2 && this.#shard.lacks(this.#account, micro, nowMs); n++) {
      const own = await this.#shard.ask(allowance, sharing, this.#account, micro);
      if (own !== undefined && JSON.stringify(own) !== JSON.stringify(this.#kept.own)) {
        this.#kept.setOwn(own);
      }
    }
  }

  /** Counts what the ledger has and this object has not seen. It is never less than before: the ledger may be behind. */
  async #learn(account: string, nowMs: number): Promise<void> {
    const found = await this.#books.look(account, nowMs);
    if (found === undefined) {
      return;
    }
    pass(day, this.#account, nowMs);
    if (this.#account.window * dayMs === found.fromMs) {
      const spent = Math.max(this.#account.spent, found.used + settledSince(this.#account, found.toMs));
      this.#disk.keepSpent(this.#account.window, spent);
      this.#account.spent = spent;
    }
  }
}

/** What was settled after a time, but for the two seconds in which the ledger may have it under an earlier one: nothing is counted twice. */
function settledSince(account: Account, sinceMs: number): number {
  return [...account.closed.values()].reduce(
    (sum, done) => (done.forgetMs - day.rememberMs >= sinceMs + 2_000 ? sum + done.micro : sum),
    0,
  );
}

function admission(outcome: Admission["outcome"], rate: Rate, decision: RateDecision, micro: number, retryMs?: number): Admission {
  const { remaining, resetMs } = decision;
  return { outcome, rate, remaining, resetMs, micro, ...(retryMs === undefined ? {} : { retryMs }) };
}
