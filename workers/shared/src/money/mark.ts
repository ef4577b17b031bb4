import { FLOW } from "../contract.gen";
import { KEYS, key } from "../keys";
import type { StoredBalance } from "./balance";

/** How long a write to KV may take to be seen everywhere. */
export const kvVisibilityMs = 120_000;

/**
 * The stated bound: an answer that does not say that it is stale leaves out no change of the ledger that is older. A write reaches KV
 * within the first term, if need be by the reconciler, and is seen everywhere within the second.
 */
export const maxStaleMs = FLOW["credits-agree"] * 1000 + kvVisibilityMs;

/** A change is in KV so long after it at the latest, by the end of the first pass that began after it, or the guard is not steady. */
const steadyGapMs = FLOW["credits-agree"] * 1000;

/** What the reconciler leaves in KV after a pass. Times are milliseconds since 1970. */
export interface Mark {
  /** Whatever the ledger changed before was compared with KV, and made good. */
  readonly as_of: number;
  /** By when a pass had ended that the others have followed closely. */
  readonly steady_since: number;
}

/**
 * The mark after a pass. What a pass repairs is in KV when it ends, not when it begins: a change that came just after one began waits
 * for the end of the next.
 */
export function nextMark(previous: Mark | undefined, pass: { readonly started_ms: number; readonly ended_ms: number }): Mark {
  const { started_ms: as_of, ended_ms } = pass;
  const steady = previous !== undefined && ended_ms - previous.as_of <= steadyGapMs && as_of >= previous.as_of;
  return { as_of, steady_since: steady ? previous.steady_since : ended_ms };
}

export async function readMark(kv: KVNamespace): Promise<Mark | undefined> {
  return parseMark(await kv.get(markKey()));
}

export function parseMark(text: string | null): Mark | undefined {
  try {
    const mark = JSON.parse(text ?? "null") as Partial<Mark> | null;
    const whole = Number.isSafeInteger(mark?.as_of) && Number.isSafeInteger(mark?.steady_since);
    return whole ? (mark as Mark) : undefined;
  } catch {
    return undefined;
  }
}

export function putMark(kv: KVNamespace, mark: Mark): Promise<void> {
  return kv.put(markKey(), JSON.stringify(mark));
}

function markKey(): string {
  return key(KEYS.reconciled, {});
}

/**
 * Tells whether a copy keeps the stated bound: it is young itself, or the reconciler has been at work. A guard that came back a moment
 * ago does not count yet: what it repaired may not be seen here.
 */
export function isWithinBound(copy: StoredBalance, mark: Mark | undefined, nowMs: number): boolean {
  if (nowMs - Date.parse(copy.as_of) <= maxStaleMs) {
    return true;
  }
  return mark !== undefined && nowMs - mark.as_of <= maxStaleMs && nowMs - mark.steady_since >= kvVisibilityMs;
}
