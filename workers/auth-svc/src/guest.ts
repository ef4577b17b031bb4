import { optionalText } from "../../shared/src/body";
import { json } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { sign } from "./sign";
import { checkTurnstile, hostnamesOf } from "./turnstile";

/** Gives anyone a token of their own. Where Turnstile is configured, a person has to be there. */
export async function guestToken(call: Call<Env>): Promise<Response> {
  const body = await call.json({ optional: true });
  if (call.env.TURNSTILE_SECRET) {
    // The second name is the one Turnstile's own widget gives its form field.
    const response = optionalText(body, "turnstile_token", 2048) ?? optionalText(body, "cf-turnstile-response", 2048);
    await checkTurnstile(response, {
      url: call.env.TURNSTILE_VERIFY_URL,
      secret: call.env.TURNSTILE_SECRET,
      remoteIp: call.request.headers.get("cf-connecting-ip"),
      hostnames: hostnamesOf(call.env.ALLOWED_ORIGINS),
    });
  }
  const now = Math.floor(Date.now() / 1000);
  return json(await sign(call.env, { sub: `guest:${crypto.randomUUID()}`, role: "guest" }, now));
}
