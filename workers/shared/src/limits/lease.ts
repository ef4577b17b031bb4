/**
 * A tenant that is asked more often than one object answers is kept by several: one lends, the others (shards) spend what they were lent.
 * A shard never spends more than it knows to be lent to it, and the lender never counts less as lent than a shard may know of. So what all
 * of them spend is within the budget, whatever is lost, repeated, late or killed: no clock is asked, and nothing comes back to the
 * lender but by a shard's own word, which it keeps before it says so.
 */

/** What a shard keeps of what it was lent, in one window of the budget. */
export interface Lease {
  readonly window: number;
  /** Grows with all that the shard says to its lender: what is older than something already heard says nothing any more. */
  readonly seq: number;
  /** All that it was lent in the window: what it spent and holds is within it. */
  readonly micro: number;
}

/** What a shard says of itself: that it wants so much in all, or that so much is enough. */
export interface Word {
  readonly window: number;
  readonly seq: number;
  readonly micro: number;
}

/** What a lender keeps: the last it heard of each shard, and what that has or may have been lent. */
export interface Lender {
  readonly window: number;
  readonly lent: ReadonlyMap<string, Lent>;
}

export interface Lent {
  readonly seq: number;
  readonly micro: number;
}

export const noLease: Lease = { window: 0, seq: 0, micro: 0 };
export const noLender: Lender = { window: 0, lent: new Map() };

/** The shard of a window has been lent nothing when the window begins. */
export function leaseIn(lease: Lease, window: number): Lease {
  return window > lease.window ? { ...lease, window, micro: 0 } : lease;
}

/** Asks for more. To be kept before it is said: an answer counts only while nothing was said after the question. */
export function asking(lease: Lease, micro: number): { readonly lease: Lease; readonly word: Word } {
  const seq = lease.seq + 1;
  return { lease: { ...lease, seq }, word: { window: lease.window, seq, micro } };
}

/** The lender's answer to the question of this number, that so much is lent in all. */
export function granted(lease: Lease, seq: number, window: number, micro: number): Lease {
  return seq === lease.seq && window === lease.window ? { ...lease, micro: Math.max(lease.micro, micro) } : lease;
}

/** Gives back all that is neither spent nor held. To be kept before it is said. */
export function givingBack(lease: Lease, used: number): { readonly lease: Lease; readonly word: Word } {
  const after = { ...lease, seq: lease.seq + 1, micro: Math.min(lease.micro, used) };
  return { lease: after, word: after };
}

/** The lender of a window has lent nothing in it when it begins; it still knows what it heard, so that nothing old is heard again. */
export function lenderIn(lender: Lender, window: number): Lender {
  if (window <= lender.window) {
    return lender;
  }
  return { window, lent: new Map([...lender.lent].map(([shard, { seq }]) => [shard, { seq, micro: 0 }])) };
}

/** What is lent to all shards together. */
export function lentOf({ lent }: Lender): number {
  let sum = 0;
  for (const { micro } of lent.values()) {
    sum += micro;
  }
  return sum;
}

/**
 * Lends what a shard lacks of what it wants, and with it a part of what is free, so that it need not ask each time: the less is free, the
 * smaller the part. Said again it lends nothing again. Undefined: the word is old, or of another window.
 */
export function lend(budget: number, lender: Lender, shard: string, shards: number, word: Word): Lent | undefined {
  const before = lender.lent.get(shard) ?? { seq: 0, micro: 0 };
  if (word.window !== lender.window || word.seq < before.seq) {
    return;
  }
  const free = Math.max(0, budget - lentOf(lender));
  const lacking = Math.max(0, word.micro - before.micro);
  const more = lacking === 0 ? 0 : Math.max(lacking, Math.floor(free / (4 * shards)));
  return { seq: word.seq, micro: before.micro + Math.min(more, free) };
}

/** Takes back what a shard gives back. Undefined: the word is old, or of another window. */
export function takeBack(lender: Lender, shard: string, word: Word): Lent | undefined {
  const before = lender.lent.get(shard) ?? { seq: 0, micro: 0 };
  return word.window === lender.window && word.seq > before.seq ? { seq: word.seq, micro: Math.min(before.micro, word.micro) } : undefined;
}

export function noted(lender: Lender, shard: string, lent: Lent): Lender {
  return { ...lender, lent: new Map(lender.lent).set(shard, lent) };
}
