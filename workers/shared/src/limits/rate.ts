/** A rate: `count` weights a period, and at most `burst` of them at once. All are whole numbers above 0. */
export interface Rate {
  readonly count: number;
  readonly periodMs: number;
  readonly burst: number;
}

/**
 * What is kept of a caller. The generic cell rate algorithm is kept as what is owed, which drains with time, and not as a time of arrival:
 * one weight owes `periodMs`, and a millisecond drains `count`, so that every step is a whole number and no rounding adds up.
 */
export interface Meter {
  readonly atMs: number;
  readonly owed: number;
  /** The period that `owed` is in: a limit may be changed while something is owed. */
  readonly periodMs: number;
}

export interface RateDecision {
  readonly admitted: boolean;
  readonly meter: Meter;
  /** What would be admitted now. */
  readonly remaining: number;
  /** Until the whole burst is there again. */
  readonly resetMs: number;
  /** Until the same weight would be admitted, if nobody else comes: 0 when it was, undefined when it never will be. */
  readonly retryMs: number | undefined;
}

/**
 * Decides over one request. A refusal owes nothing, so that asking again does not make the wait longer. What is owed for `unused` weights
 * does not drain: they were taken in advance, and will be used at a time of their own.
 */
export function decideRate(rate: Rate, kept: Meter | undefined, nowMs: number, weight = 1, unused = 0): RateDecision {
  if (!Number.isSafeInteger(weight) || weight < 0) {
    throw new RangeError(`a weight is a whole number, got ${weight}`);
  }
  const before = drained(rate, kept, nowMs, unused);
  const room = rate.burst * rate.periodMs;
  const wanted = before.owed + weight * rate.periodMs;
  const admitted = wanted <= room;
  const meter = admitted ? { ...before, owed: wanted } : before;
  return {
    admitted,
    meter,
    remaining: Math.max(0, Math.floor((room - meter.owed) / rate.periodMs)),
    resetMs: Math.ceil(meter.owed / rate.count) + (meter.atMs - nowMs),
    retryMs: retryOf(admitted, weight > rate.burst, Math.ceil((wanted - room) / rate.count) + (meter.atMs - nowMs)),
  };
}

function retryOf(admitted: boolean, never: boolean, waitMs: number): number | undefined {
  if (admitted) {
    return 0;
  }
  return never ? undefined : waitMs;
}

/** A clock that went back drains nothing: the later of the two times is kept. */
function drained(rate: Rate, kept: Meter | undefined, nowMs: number, unused: number): Meter {
  if (kept === undefined) {
    return { atMs: nowMs, owed: 0, periodMs: rate.periodMs };
  }
  const owed = kept.periodMs === rate.periodMs ? kept.owed : Math.ceil((kept.owed * rate.periodMs) / kept.periodMs);
  const passed = Math.max(0, nowMs - kept.atMs);
  const least = Math.min(owed, unused * rate.periodMs);
  return { atMs: Math.max(kept.atMs, nowMs), owed: Math.max(least, owed - passed * rate.count), periodMs: rate.periodMs };
}

/** A meter to which a weight is given back that was taken for nothing. */
export function returned(meter: Meter, weight: number): Meter {
  return { ...meter, owed: Math.max(0, meter.owed - weight * meter.periodMs) };
}
