import { Problem } from "../../shared/src/problem";

const timeoutMs = 5_000;

export interface Turnstile {
  readonly url: string;
  readonly secret: string;
  readonly remoteIp: string | null;
}

/** Asks Turnstile whether a response is good. When it cannot be asked, nobody gets in. */
export async function checkTurnstile(response: string | undefined, turnstile: Turnstile): Promise<void> {
  if (response === undefined) {
    throw new Problem(400, "turnstile_required", "turnstile_token is not given.");
  }
  if (!(await verdict(response, turnstile))) {
    throw new Problem(403, "turnstile_failed", "Turnstile did not accept the response.");
  }
}

async function verdict(response: string, { url, secret, remoteIp }: Turnstile): Promise<boolean> {
  const form = new URLSearchParams({ secret, response });
  if (remoteIp !== null) {
    form.set("remoteip", remoteIp);
  }
  try {
    const answer = await fetch(url, { method: "POST", body: form, signal: AbortSignal.timeout(timeoutMs) });
    const { success } = await answer.json<{ success?: unknown }>();
    return success === true;
  } catch (error) {
    throw new Problem(503, "turnstile_unavailable", undefined, { cause: error, headers: { "retry-after": "5" } });
  }
}
