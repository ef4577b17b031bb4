import { type Account, type Budget, type Change, pass, type Taken } from "./budget";
import { decideRate, type Meter, type Rate, returned } from "./rate";

/**
 * Who asks often takes weights and micro-credits in advance, so that most questions are decided where they are asked, and accounts for them
 * now and then. What it takes is held like what a call may cost: whatever it does with it is within the budget and the rate, and when it is
 * not heard of again its hold ends.
 */

/** What was used of an advance, in all since the first word, and what is wanted of it now. */
export interface Told {
  /** Of the advance: one isolate's, of one limiter. */
  readonly id: string;
  /** Grows with each word, from 1. */
  readonly seq: number;
  readonly spent: number;
  /** What calls hold that are not over. */
  readonly open: number;
  /** Weights. */
  readonly used: number;
  /** So much more may be used while the answer is on its way: it is kept in any case. */
  readonly keep: Free;
  /** So much to use is wanted, what is kept among it. */
  readonly want: Free;
  /** It is the last word: nothing is kept. */
  readonly end?: boolean;
}

/** What no call has taken yet. */
export interface Free {
  readonly micro: number;
  readonly weight: number;
}

export interface Granted {
  /** Old: a later word was heard, and nothing changes. Gone: the hold ended, and what was spent since the last word did not count. */
  readonly outcome: "granted" | "old" | "gone";
  /** What may be used beside what was when the word was said. */
  readonly free: Free;
  readonly meter: Meter | undefined;
  /** What may still be reserved by others. */
  readonly left: number;
  /** What was counted of what was spent since the last word. */
  readonly counted: number;
  readonly changes: readonly Change[];
}

/** The limits that an advance is taken of: at most one of so many parts of what is left of each. */
export interface Purse {
  readonly budget: Budget;
  readonly rate: Rate;
  readonly part: number;
}

/** Hears what became of an advance, and grants more. Nothing changes until the changes are applied, and the meter is kept. */
export function hear({ budget, rate, part }: Purse, account: Account, meter: Meter | undefined, nowMs: number, told: Told): Granted {
  pass(budget, account, nowMs);
  const before = takenOf(account, told);
  if (before === undefined || told.seq <= before.seq) {
    const outcome = before === undefined && !account.closed.has(told.id) ? "gone" : "old";
    return { outcome, free: nothing, meter, left: 0, counted: 0, changes: [] };
  }
  const others = account.held - (account.holds.get(told.id)?.micro ?? 0);
  const room = Math.max(0, budget.micro - account.spent - others);
  const delta = Math.max(0, told.spent - before.spent);
  const counted = Math.min(delta, room);
  const left = Math.max(0, room - counted - told.open);
  const micro = Math.min(left, Math.max(told.keep.micro, Math.min(told.want.micro, Math.floor(left / part))));
  const { weight, meter: after } = weigh({ rate, part, unused: account.unused }, meter, nowMs, before, told);
  const spent = account.spent + counted;
  const changes: Change[] = [];
  if (delta > 0) {
    // A name of its own: what was settled when is what the ledger is compared with.
    const forgetMs = account.latestMs + budget.rememberMs;
    changes.push({ id: `${told.id}.${told.seq}`, spent, closed: { micro: counted, excess: delta - counted, forgetMs } });
  }
  const held = Math.min(told.open, room - counted) + micro;
  changes.push(kept(budget, account, told, { spent, held, unused: weight }));
  return { outcome: "granted", free: { micro, weight }, meter: after, left: left - micro, counted, changes };
}

const nothing: Free = { micro: 0, weight: 0 };

function kept(budget: Budget, { latestMs }: Account, told: Told, now: { spent: number; held: number; unused: number }): Change {
  const { spent, held, unused } = now;
  if (told.end) {
    return { id: told.id, spent, closed: { micro: 0, excess: 0, forgetMs: latestMs + budget.rememberMs } };
  }
  const advance = { seq: told.seq, spent: told.spent, used: told.used, unused };
  return { id: told.id, spent, hold: { micro: held, expiresMs: latestMs + budget.holdMs, advance } };
}

/** Undefined: it is known no more, or was never heard of. */
function takenOf(account: Account, { id, seq }: Told): Taken | undefined {
  const first = seq === 1 && !account.closed.has(id) && !account.holds.has(id);
  return first ? { seq: 0, spent: 0, used: 0, unused: 0 } : account.holds.get(id)?.advance;
}

/** Gives back the weights that were not used, and takes those that are to be. */
function weigh(
  { rate, part, unused }: Pick<Purse, "rate" | "part"> & { unused: number },
  kept: Meter | undefined,
  nowMs: number,
  before: Taken,
  { used, keep, want }: Told,
) {
  const { meter } = decideRate(rate, kept, nowMs, 0, unused); // until now it was theirs
  const back = returned(meter, Math.max(0, before.used + before.unused - used));
  const others = unused - before.unused;
  const { remaining } = decideRate(rate, back, nowMs, 0, others);
  const weight = Math.min(remaining, Math.max(keep.weight, Math.min(want.weight, Math.floor(remaining / part))));
  return { weight, meter: decideRate(rate, back, nowMs, weight, others).meter };
}
