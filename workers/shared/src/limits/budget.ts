/** What may be spent in a window of time, in micro-credits. Windows begin at whole multiples of `windowMs`: a day begins at midnight, UTC. */
export interface Budget {
  readonly micro: number;
  readonly windowMs: number;
  /** How long a reservation holds what it took without being heard of again; a call must be over before. */
  readonly holdMs: number;
  /** How long an id is remembered after it was settled, so that saying it again changes nothing. */
  readonly rememberMs: number;
}

/** A reservation that is neither settled nor refunded. */
interface Hold {
  readonly micro: number;
  readonly expiresMs: number;
}

/** One that is: what it cost in the end, 0 when it was refunded. */
interface Closed {
  readonly micro: number;
  readonly excess: number;
  readonly forgetMs: number;
}

/** What is kept of one budget. */
export interface Account {
  readonly window: number;
  readonly spent: number;
  readonly holds: ReadonlyMap<string, Hold>;
  readonly closed: ReadonlyMap<string, Closed>;
}

export const newAccount: Account = { window: 0, spent: 0, holds: new Map(), closed: new Map() };

export interface Reserved {
  readonly account: Account;
  /** An id that is held already is held once; one that was closed cannot be used again; one that is held for another sum is a conflict. */
  readonly outcome: "held" | "refused" | "closed" | "conflict";
  readonly remaining: number;
  /** Of a refusal: until it would be admitted, if all that is held expires and nobody else comes. Undefined: never. */
  readonly retryMs?: number;
}

/**
 * Takes the most that a call may cost out of the budget before the call is made. It is refused only when what is spent, what is held and
 * what is asked for are more than the budget: what a serial order of calls would admit beyond that is at most what the open holds will give back.
 */
export function reserve(budget: Budget, kept: Account, nowMs: number, id: string, micro: number): Reserved {
  whole(micro);
  const account = passed(budget, kept, nowMs);
  const held = account.holds.get(id);
  if (held !== undefined) {
    return { account, outcome: held.micro === micro ? "held" : "conflict", remaining: remainingOf(budget, account) };
  }
  if (account.closed.has(id)) {
    return { account, outcome: "closed", remaining: remainingOf(budget, account) };
  }
  if (micro > remainingOf(budget, account)) {
    const retryMs = retryOf(budget, account, nowMs, micro);
    return { account, outcome: "refused", remaining: remainingOf(budget, account), ...(retryMs === undefined ? {} : { retryMs }) };
  }
  const holds = new Map(account.holds).set(id, { micro, expiresMs: nowMs + budget.holdMs });
  const after = { ...account, holds };
  return { account: after, outcome: "held", remaining: remainingOf(budget, after) };
}

export interface Settled {
  readonly account: Account;
  /** What was counted against the budget. */
  readonly micro: number;
  /** What a call cost beyond its hold and what is left: the caller's estimate was no upper bound, or came too late. Nobody is charged for it here. */
  readonly excess: number;
}

/**
 * Puts what a call cost in the place of what was held for it; 0 gives all of it back. The first answer to an id is the answer to it. A call
 * whose hold has expired did cost what it cost, and takes what is left.
 */
export function settle(budget: Budget, kept: Account, nowMs: number, id: string, micro: number): Settled {
  whole(micro);
  const account = passed(budget, kept, nowMs);
  const before = account.closed.get(id);
  if (before !== undefined) {
    return { account, micro: before.micro, excess: before.excess };
  }
  const holds = new Map(account.holds);
  holds.delete(id);
  const counted = Math.min(micro, remainingOf(budget, { ...account, holds }));
  const excess = micro - counted;
  const closed = new Map(account.closed).set(id, { micro: counted, excess, forgetMs: nowMs + budget.rememberMs });
  return { account: { ...account, holds, closed, spent: account.spent + counted }, micro: counted, excess };
}

/** The account as it is now: a new window has nothing spent, what has expired is not held, and what is old is forgotten. */
export function passed(budget: Budget, kept: Account, nowMs: number): Account {
  const window = Math.max(kept.window, Math.floor(nowMs / budget.windowMs));
  return {
    window,
    spent: window === kept.window ? kept.spent : 0,
    // What is held goes over into the new window: that is where it will be settled.
    holds: without(kept.holds, ({ expiresMs }) => expiresMs <= nowMs),
    closed: without(kept.closed, ({ forgetMs }) => forgetMs <= nowMs),
  };
}

/** When something is next to expire or to be forgotten: what an alarm is set to. */
export function nextMs({ holds, closed }: Account): number | undefined {
  const times = [...[...holds.values()].map((hold) => hold.expiresMs), ...[...closed.values()].map((done) => done.forgetMs)];
  return times.length === 0 ? undefined : Math.min(...times);
}

/** What may still be reserved; a budget that was lowered under what is spent leaves 0. */
export function remainingOf(budget: Budget, account: Account): number {
  return Math.max(0, budget.micro - account.spent - heldOf(account.holds.values()));
}

function heldOf(holds: Iterable<Hold>): number {
  let sum = 0;
  for (const { micro } of holds) {
    sum += micro;
  }
  return sum;
}

/** Room is made by holds that expire, and by the next window. */
function retryOf(budget: Budget, account: Account, nowMs: number, micro: number): number | undefined {
  const windowEnd = (account.window + 1) * budget.windowMs;
  const holds = [...account.holds.values()];
  const times = [windowEnd, ...holds.map((hold) => hold.expiresMs)].sort((a, b) => a - b);
  const at = times.find((time) => {
    const spent = time < windowEnd ? account.spent : 0;
    return spent + heldOf(holds.filter((hold) => hold.expiresMs > time)) + micro <= budget.micro;
  });
  return at === undefined ? undefined : at - nowMs;
}

function without<V>(all: ReadonlyMap<string, V>, gone: (value: V) => boolean): ReadonlyMap<string, V> {
  return [...all.values()].some(gone) ? new Map([...all].filter(([, value]) => !gone(value))) : all;
}

function whole(micro: number): void {
  if (!Number.isSafeInteger(micro) || micro < 0) {
    throw new RangeError(`micro-credits are a whole number, got ${micro}`);
  }
}
