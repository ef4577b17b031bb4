import type { Rate } from "./rate";

/** A second that has begun is not over: a caller who waits what is said here is never turned away for having come too early. */
export function seconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1000));
}

/** What an answer says of a limit: in the names that clients know, and in the fields of the IETF's draft (httpapi-ratelimit-headers). */
export function rateHeaders(
  name: string,
  rate: Rate,
  { remaining, resetMs }: { readonly remaining: number; readonly resetMs: number },
): Record<string, string> {
  const reset = String(seconds(resetMs));
  return {
    "x-ratelimit-limit": String(rate.burst),
    "x-ratelimit-remaining": String(remaining),
    "x-ratelimit-reset": reset,
    "ratelimit-policy": `"${name}";q=${rate.count};w=${seconds(rate.periodMs)}`,
    ratelimit: `"${name}";r=${remaining};t=${reset}`,
  };
}
