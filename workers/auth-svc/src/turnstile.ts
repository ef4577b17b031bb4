import { AUTH } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";

export interface Turnstile {
  readonly url: string;
  readonly secret: string;
  readonly remoteIp: string | null;
  /** Hostnames of the pages on which a response counts. */
  readonly hostnames: ReadonlySet<string>;
}

/** What Turnstile says of a response. Everything in it comes from outside. */
interface Verdict {
  readonly success?: unknown;
  readonly hostname?: unknown;
  readonly action?: unknown;
  readonly "error-codes"?: unknown;
}

/** Asks Turnstile whether a response is good. When it cannot be asked, nobody gets in. */
export async function checkTurnstile(response: string | undefined, turnstile: Turnstile): Promise<void> {
  if (response === undefined) {
    throw new Problem(400, "turnstile_required", "turnstile_token is not given.");
  }
  const refused = refusal(await ask(response, turnstile), turnstile);
  if (refused !== undefined) {
    throw refused;
  }
}

/**
 * A response that a person gave elsewhere, for something else, or before is no proof that a person is here now. Turnstile takes each
 * response once: a second time it is a duplicate.
 */
export function refusal(verdict: Verdict, { hostnames }: Pick<Turnstile, "hostnames">): Problem | undefined {
  const codes = Array.isArray(verdict["error-codes"]) ? verdict["error-codes"] : [];
  if (codes.some((code) => code === "missing-input-secret" || code === "invalid-input-secret")) {
    return unavailable(new Error("Turnstile does not know TURNSTILE_SECRET"));
  }
  if (codes.includes("internal-error")) {
    return unavailable(new Error("Turnstile had an internal error"));
  }
  if (verdict.success !== true) {
    const used = codes.includes("timeout-or-duplicate");
    return new Problem(
      403,
      "turnstile_failed",
      used ? "The response is too old, or was used before." : "Turnstile did not accept the response.",
    );
  }
  if (typeof verdict.hostname !== "string" || !hostnames.has(verdict.hostname.toLowerCase())) {
    return new Problem(403, "turnstile_failed", "The response was given on another site.");
  }
  return verdict.action === AUTH.turnstileAction
    ? undefined
    : new Problem(403, "turnstile_failed", "The response was given for something else.");
}

async function ask(response: string, { url, secret, remoteIp }: Turnstile): Promise<Verdict> {
  const form = new URLSearchParams({ secret, response });
  if (remoteIp !== null) {
    form.set("remoteip", remoteIp);
  }
  try {
    const answer = await fetch(url, { method: "POST", body: form, signal: AbortSignal.timeout(AUTH.turnstileTimeoutMs) });
    const verdict = await answer.json<unknown>();
    if (typeof verdict !== "object" || verdict === null) {
      throw new Error("Turnstile's answer is no object");
    }
    return verdict;
  } catch (error) {
    throw unavailable(error);
  }
}

function unavailable(cause: unknown): Problem {
  return new Problem(503, "turnstile_unavailable", undefined, { cause, headers: { "retry-after": "5" } });
}

/** The hostnames of a list of origins. */
export function hostnamesOf(origins: string): Set<string> {
  return new Set(origins.split(",").flatMap((origin) => (URL.canParse(origin) ? [new URL(origin).hostname] : [])));
}
