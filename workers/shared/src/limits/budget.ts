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
  /** Where it is held for calls that are still to come (advance.ts). */
  readonly advance?: Taken;
}

/** What was taken in advance and is accounted for, all since the first word: a word that is repeated or late changes nothing. */
export interface Taken {
  /** The last word that was heard. */
  readonly seq: number;
  /** Micro-credits that were spent. */
  readonly spent: number;
  /** Weights that were used. */
  readonly used: number;
  /** Weights that were taken out of the rate and that nobody is known to have used. */
  readonly unused: number;
}

/** One that is: what it cost in the end, 0 when it was refunded. */
interface Closed {
  readonly micro: number;
  readonly excess: number;
  readonly forgetMs: number;
}

/**
 * What is kept of one budget. It is changed in place: an account that is asked ten times a second remembers thousands of ids, and a copy
 * of them at each question would cost more than the decision. What is first to expire is first in its map.
 */
export interface Account {
  window: number;
  spent: number;
  /** The sum of all holds. */
  held: number;
  /** The sum of all weights that were taken in advance and not used. */
  unused: number;
  /** A clock that goes back is not followed: what is held was held until then. */
  latestMs: number;
  readonly holds: Map<string, Hold>;
  readonly closed: Map<string, Closed>;
}

/** What a decision changes: nothing did until it is applied, so that it can be kept elsewhere first. */
export interface Change {
  readonly id: string;
  readonly spent: number;
  readonly hold?: Hold;
  readonly closed?: Closed;
}

export function newAccount(): Account {
  return { window: 0, spent: 0, held: 0, unused: 0, latestMs: 0, holds: new Map(), closed: new Map() };
}

export function apply(account: Account, { id, spent, hold, closed }: Change): void {
  account.spent = spent;
  release(account, id);
  if (hold !== undefined) {
    account.holds.set(id, hold);
    account.held += hold.micro;
    account.unused += hold.advance?.unused ?? 0;
  }
  if (closed !== undefined) {
    account.closed.set(id, closed);
  }
}

export interface Reserved {
  /** Undefined where nothing changes. */
  readonly change?: Change;
  /** An id that is held already is held once; one that was closed cannot be used again; one that is held for another sum is a conflict. */
  readonly outcome: "held" | "refused" | "closed" | "conflict";
  /** What may still be reserved once the change is applied. */
  readonly remaining: number;
  /** Of a refusal: until it would be admitted, if all that is held expires and nobody else comes. Undefined: never. */
  readonly retryMs?: number;
}

/**
 * Takes the most that a call may cost out of the budget before the call is made. It is refused only when what is spent, what is held and
 * what is asked for are more than the budget: what a serial order of calls would admit beyond that is at most what the open holds will give back.
 */
export function reserve(budget: Budget, account: Account, nowMs: number, id: string, micro: number): Reserved {
  whole(micro);
  pass(budget, account, nowMs);
  const remaining = remainingOf(budget, account);
  const held = account.holds.get(id);
  if (held !== undefined) {
    return { outcome: held.micro === micro ? "held" : "conflict", remaining };
  }
  if (account.closed.has(id)) {
    return { outcome: "closed", remaining };
  }
  if (micro > remaining) {
    const retryMs = retryOf(budget, account, nowMs, micro);
    return { outcome: "refused", remaining, ...(retryMs === undefined ? {} : { retryMs }) };
  }
  const hold = { micro, expiresMs: account.latestMs + budget.holdMs };
  return { change: { id, spent: account.spent, hold }, outcome: "held", remaining: remaining - micro };
}

/** Holds on to what an open call holds already: it is still going on. Undefined: it holds nothing any more. */
export function renew(budget: Budget, account: Account, nowMs: number, id: string): Change | undefined {
  pass(budget, account, nowMs);
  const held = account.holds.get(id);
  return held && { id, spent: account.spent, hold: { ...held, expiresMs: account.latestMs + budget.holdMs } };
}

export interface Settled {
  /** Undefined where nothing changes. */
  readonly change?: Change;
  /** What was counted against the budget. */
  readonly micro: number;
  /** What a call cost beyond its hold and what is left: the caller's estimate was no upper bound, or came too late. Nobody is charged for it here. */
  readonly excess: number;
}

/**
 * Puts what a call cost in the place of what was held for it; 0 gives all of it back. The first answer to an id is the answer to it. A call
 * whose hold has expired did cost what it cost, and takes what is left.
 */
export function settle(budget: Budget, account: Account, nowMs: number, id: string, micro: number): Settled {
  whole(micro);
  pass(budget, account, nowMs);
  const before = account.closed.get(id);
  if (before !== undefined) {
    return { micro: before.micro, excess: before.excess };
  }
  const others = account.held - (account.holds.get(id)?.micro ?? 0);
  const counted = Math.min(micro, Math.max(0, budget.micro - account.spent - others));
  const closed = { micro: counted, excess: micro - counted, forgetMs: account.latestMs + budget.rememberMs };
  return { change: { id, spent: account.spent + counted, closed }, micro: counted, excess: closed.excess };
}

/** Brings an account to now: a new window has nothing spent, what has expired is not held, and what is old is forgotten. */
export function pass({ windowMs }: { readonly windowMs: number }, account: Account, nowMs: number): void {
  account.latestMs = Math.max(account.latestMs, nowMs);
  const window = Math.floor(account.latestMs / windowMs);
  if (window > account.window) {
    // What is held goes over into the new window: that is where it will be settled.
    account.window = window;
    account.spent = 0;
  }
  for (const [id, { expiresMs }] of account.holds) {
    if (expiresMs > account.latestMs) {
      break;
    }
    release(account, id);
  }
  for (const [id, { forgetMs }] of account.closed) {
    if (forgetMs > account.latestMs) {
      break;
    }
    account.closed.delete(id);
  }
}

function release(account: Account, id: string): void {
  const hold = account.holds.get(id);
  account.held -= hold?.micro ?? 0;
  account.unused -= hold?.advance?.unused ?? 0;
  account.holds.delete(id);
}

/** When something is next to expire or to be forgotten: what an alarm is set after. */
export function nextMs({ holds, closed }: Account): number | undefined {
  const [[, hold] = []] = holds;
  const [[, done] = []] = closed;
  const next = Math.min(hold?.expiresMs ?? Number.POSITIVE_INFINITY, done?.forgetMs ?? Number.POSITIVE_INFINITY);
  return next === Number.POSITIVE_INFINITY ? undefined : next;
}

/** What may still be reserved; a budget that was lowered under what is spent leaves 0. */
export function remainingOf(budget: Budget, account: Account): number {
  return Math.max(0, budget.micro - account.spent - account.held);
}

/** Room is made by holds that expire, and by the next window. */
function retryOf(budget: Budget, account: Account, nowMs: number, micro: number): number | undefined {
  const windowEnd = (account.window + 1) * budget.windowMs;
  const expiries = [...account.holds.values()].map((hold) => ({ atMs: hold.expiresMs, freed: hold.micro }));
  let { held } = account;
  for (const { atMs, freed } of [...expiries, { atMs: windowEnd, freed: 0 }].sort((a, b) => a.atMs - b.atMs)) {
    held -= freed;
    if ((atMs < windowEnd ? account.spent : 0) + held + micro <= budget.micro) {
      return atMs - nowMs;
    }
  }
  return;
}

function whole(micro: number): void {
  if (!Number.isSafeInteger(micro) || micro < 0) {
    throw new RangeError(`micro-credits are a whole number, got ${micro}`);
  }
}
