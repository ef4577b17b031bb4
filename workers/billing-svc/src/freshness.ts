import type { StoredBalance } from "../../shared/src/money/balance";
import { isWithinBound, type Mark, readMark } from "../../shared/src/money/mark";

/** How long an isolate goes by the mark it has read; it costs no request a second read of KV. */
const markHoldMs = 5_000;

let held: { readonly mark: Mark | undefined; readonly readMs: number } | undefined;

/** Tells whether a copy may be shown as it is. */
export async function isFresh(copy: StoredBalance, kv: KVNamespace, nowMs: number): Promise<boolean> {
  if (isWithinBound(copy, undefined, nowMs)) {
    return true;
  }
  if (held === undefined || nowMs - held.readMs > markHoldMs || nowMs < held.readMs) {
    held = { mark: await readMark(kv), readMs: nowMs };
  }
  return isWithinBound(copy, held.mark, nowMs);
}
