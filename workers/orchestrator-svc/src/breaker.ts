import type { Failure, FailureKind } from "./failure";

/** When a breaker opens and for how long; times in milliseconds. */
export interface BreakerSettings {
  /** Failures in a window that open it, when they are also half of the attempts. */
  readonly failures: number;
  readonly windowMs: number;
  /** How long it stays open the first time; twice as long each time a probe fails, up to the longest. */
  readonly openMs: number;
  readonly maxOpenMs: number;
  /** How long it stays open when the provider refuses our key or has no money of ours left: a person must act. */
  readonly deniedMs: number;
  /** How long a probe may take before another may be sent. */
  readonly probeMs: number;
}

/** One model's breaker. Closed has openUntil 0; past openUntil it is half-open, and one probe goes through. */
export interface Breaker {
  readonly windowFrom: number;
  readonly attempts: number;
  readonly failures: number;
  readonly openUntil: number;
  readonly probeUntil: number;
  /** How often in a row it opened. */
  readonly opened: number;
  readonly reason: FailureKind | null;
  /** When it last opened or closed. */
  readonly changedAt: number;
}

export const closed: Breaker = Object.freeze({
  windowFrom: 0,
  attempts: 0,
  failures: 0,
  openUntil: 0,
  probeUntil: 0,
  opened: 0,
  reason: null,
  changedAt: 0,
});

/** Whether an attempt may be made. A probe is taken by asking: whoever asks next is refused until it has come back, or is overdue. */
export function admit(b: Breaker, now: number, settings: BreakerSettings): { readonly allowed: boolean; readonly breaker: Breaker } {
  if (b.openUntil === 0) {
    return { allowed: true, breaker: b };
  }
  if (now < b.openUntil || now < b.probeUntil) {
    return { allowed: false, breaker: b };
  }
  return { allowed: true, breaker: { ...b, probeUntil: now + settings.probeMs } };
}

/** An attempt that answered. A probe that did closes the breaker. */
export function succeeded(b: Breaker, now: number, settings: BreakerSettings): Breaker {
  if (b.openUntil === 0) {
    const w = windowed(b, now, settings);
    return { ...w, attempts: w.attempts + 1 };
  }
  // An answer to an attempt from before it opened says nothing of how things are now.
  return b.probeUntil === 0 ? b : { ...closed, changedAt: now };
}

/** An attempt that did not answer. */
export function failed(b: Breaker, failure: Failure, now: number, settings: BreakerSettings): Breaker {
  if (failure.kind === "rejected") {
    return succeeded(b, now, settings); // the provider is there and reads what it gets: only this request is wrong
  }
  if (b.openUntil > 0) {
    return b.probeUntil === 0 ? b : opened(b, failure, now, settings);
  }
  const w = windowed(b, now, settings);
  const counted = { ...w, attempts: w.attempts + 1, failures: w.failures + 1 };
  const often = counted.failures >= settings.failures && counted.failures * 2 >= counted.attempts;
  return often || opensAtOnce(failure) ? opened(counted, failure, now, settings) : counted;
}

/** A probe whose caller went away before it could tell: another may be sent. */
export function abandoned(b: Breaker): Breaker {
  return b.probeUntil === 0 ? b : { ...b, probeUntil: 0 };
}

function windowed(b: Breaker, now: number, settings: BreakerSettings): Breaker {
  return now - b.windowFrom < settings.windowMs ? b : { ...b, windowFrom: now, attempts: 0, failures: 0 };
}

/** Asking again would change nothing, or the provider has said when to ask again. */
function opensAtOnce(failure: Failure): boolean {
  return failure.kind === "denied" || failure.kind === "unpaid" || failure.retryAfterMs !== undefined;
}

function opened(b: Breaker, failure: Failure, now: number, settings: BreakerSettings): Breaker {
  return {
    ...closed,
    openUntil: now + openFor(b.opened, failure, settings),
    opened: b.opened + 1,
    reason: failure.kind,
    changedAt: now,
  };
}

function openFor(before: number, failure: Failure, settings: BreakerSettings): number {
  const backoff = Math.min(settings.maxOpenMs, settings.openMs * 2 ** Math.min(before, 16));
  if (failure.kind === "denied" || failure.kind === "unpaid") {
    return Math.max(settings.deniedMs, backoff);
  }
  return failure.retryAfterMs === undefined ? backoff : Math.min(settings.maxOpenMs, Math.max(1000, failure.retryAfterMs));
}

/** What one isolate tells the others of a breaker. */
export interface Shared {
  readonly openUntil: number;
  readonly opened: number;
  readonly reason: FailureKind | null;
  readonly changedAt: number;
}

export function share({ openUntil, opened: times, reason, changedAt }: Breaker): Shared {
  return { openUntil, opened: times, reason, changedAt };
}

/** Takes over what another isolate has seen, when it has seen it later. */
export function learn(b: Breaker, shared: Shared): Breaker {
  return shared.changedAt > b.changedAt ? { ...closed, ...shared } : b;
}

/** Reads what another isolate wrote, or undefined for anything else: it is stored where operators write too. */
export function parseShared(value: unknown): Shared | undefined {
  const { openUntil, opened: times, reason, changedAt } = (value ?? {}) as Record<string, unknown>;
  const numbers = [openUntil, times, changedAt].every((n) => typeof n === "number" && Number.isFinite(n) && n >= 0);
  return numbers && (reason === null || typeof reason === "string")
    ? ({ openUntil, opened: times, reason, changedAt } as Shared)
    : undefined;
}
