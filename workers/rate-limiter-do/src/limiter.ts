import { DurableObject } from "cloudflare:workers";

import { type Account, nextMs, passed, remainingOf, reserve, type Settled, settle } from "../../shared/src/limits/budget";
import {
  type Admission,
  type Allowance,
  budgetOf,
  dayMs,
  effective,
  type Limits,
  type Own,
  type Standing,
  type Wanted,
} from "../../shared/src/limits/limits";
import { decideRate, type Meter, type Rate, type RateDecision, returned } from "../../shared/src/limits/rate";
import { Books } from "./books";
import { Disk } from "./disk";
import type { Env } from "./env.gen";

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
  #account: Account;
  #meter: Meter | undefined;
  #own: Own | null;
  /** What the alarm is set to; undefined until it was asked for. */
  #alarmMs: number | null | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#disk = new Disk(ctx.storage.sql);
    this.#account = this.#disk.account();
    this.#meter = this.#disk.meter();
    this.#own = this.#disk.own();
    this.#books = new Books(env.DB, this.#disk);
  }

  /** Takes the weight out of the rate and the most it may cost out of the budget; or neither, where one of them has not enough. */
  async admit(allowance: Allowance, wanted: Wanted, at?: number): Promise<Admission> {
    if (wanted.account !== undefined && this.#books.unknown) {
      await this.#learn(wanted.account, at ?? Date.now());
    }
    const nowMs = at ?? Date.now();
    const { rate, micro } = effective(allowance, this.#own, nowMs);
    const budget = budgetOf({ rate, micro });
    const decision = decideRate(rate, this.#meter, nowMs, wanted.weight);
    if (!decision.admitted) {
      const left = remainingOf(budget, passed(budget, this.#account, nowMs));
      return admission("rate", rate, decision, left, decision.retryMs);
    }
    const held = reserve(budget, this.#account, nowMs, wanted.id, wanted.micro);
    if (held.outcome !== "held") {
      return admission("budget", rate, decideRate(rate, this.#meter, nowMs, 0), held.remaining, held.retryMs);
    }
    this.#keep(nowMs, wanted.micro > 0 ? { account: held.account, id: wanted.id } : undefined, decision.meter);
    await this.#wake();
    return admission("admitted", rate, decision, held.remaining);
  }

  /** What a call did cost; 0 gives back all that was held for it. */
  async settle(allowance: Allowance, id: string, micro: number, at?: number): Promise<Omit<Settled, "account">> {
    const nowMs = at ?? Date.now();
    const { account, ...answer } = settle(budgetOf(effective(allowance, this.#own, nowMs)), this.#account, nowMs, id, micro);
    this.#keep(nowMs, { account, id });
    this.#books.spent(answer.micro, nowMs);
    await this.#wake();
    return answer;
  }

  /** Undoes an admission: the call was never made. Said again, or of one that was refused, it does nothing. */
  async cancel(allowance: Allowance, id: string, weight: number, at?: number): Promise<void> {
    const nowMs = at ?? Date.now();
    const held = this.#account.holds.has(id);
    const { account } = settle(budgetOf(effective(allowance, this.#own, nowMs)), this.#account, nowMs, id, 0);
    const meter = held && this.#meter !== undefined ? returned(this.#meter, weight) : undefined;
    this.#keep(nowMs, { account, id }, meter);
    await this.#wake();
  }

  async show(allowance: Allowance, at?: number): Promise<Standing> {
    const nowMs = at ?? Date.now();
    const now = effective(allowance, this.#own, nowMs);
    const budget = budgetOf(now);
    const account = passed(budget, this.#account, nowMs);
    const { remaining, resetMs } = decideRate(now.rate, this.#meter, nowMs, 0);
    const held = [...account.holds.values()].reduce((sum, hold) => sum + hold.micro, 0);
    const left = remainingOf(budget, account);
    const dayEndsMs = (account.window + 1) * dayMs;
    return { allowance: now, own: this.#own, remaining, resetMs, spent: account.spent, held, holds: account.holds.size, left, dayEndsMs };
  }

  async set(own: Own | null): Promise<void> {
    this.#disk.keepOwn(own);
    this.#own = own;
  }

  /** Decisions look at the time themselves: the alarm is there so that what has expired does not lie on disk for ever, and for the ledger. */
  override async alarm(): Promise<void> {
    this.#alarmMs = null;
    const { account, lookMs } = this.#books;
    if (account !== undefined && lookMs !== null && lookMs <= Date.now()) {
      await this.#learn(account, Date.now());
    }
    const nowMs = Date.now();
    this.#disk.forget(nowMs);
    this.#account = passed(day, this.#account, nowMs);
    this.#disk.keepSpent(this.#account);
    await this.#wake();
  }

  /** Counts what the ledger has and this object has not seen. It is never less than before: the ledger may be behind. */
  async #learn(account: string, nowMs: number): Promise<void> {
    const found = await this.#books.look(account, nowMs);
    if (found === undefined) {
      return;
    }
    const now = passed(day, this.#account, nowMs);
    if (now.window * dayMs === found.fromMs) {
      this.#account = { ...now, spent: Math.max(now.spent, found.used + settledSince(now, found.toMs)) };
      this.#disk.keepSpent(this.#account);
    }
  }

  /** Memory follows the disk: a write that fails leaves both as they were. */
  #keep(nowMs: number, call?: { account: Account; id: string }, meter?: Meter): void {
    const due = (nextMs(this.#account) ?? Number.POSITIVE_INFINITY) <= nowMs;
    this.ctx.storage.transactionSync(() => {
      if (due) {
        this.#disk.forget(nowMs);
      }
      if (meter !== undefined) {
        this.#disk.keepMeter(meter);
      }
      if (call !== undefined) {
        this.#disk.keepSpent(call.account);
        this.#disk.keepCall(call.account, call.id);
      }
    });
    this.#account = call?.account ?? this.#account;
    this.#meter = meter ?? this.#meter;
  }

  async #wake(): Promise<void> {
    const at = Math.min(nextMs(this.#account) ?? Number.POSITIVE_INFINITY, this.#books.lookMs ?? Number.POSITIVE_INFINITY);
    if (this.#alarmMs === undefined) {
      this.#alarmMs = await this.ctx.storage.getAlarm();
    }
    if (at !== Number.POSITIVE_INFINITY && (this.#alarmMs === null || this.#alarmMs > at)) {
      this.#alarmMs = at;
      await this.ctx.storage.setAlarm(at);
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
