import { type JsonObject, readBytes } from "../../shared/src/body";
import { AUTH } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";

/** OAuth sends forms, everything else of ours JSON: both are read, and a parameter that is given twice is refused (RFC 6749, 3.1). */
export async function formOrJson<Env>(call: Call<Env>): Promise<JsonObject> {
  const type = call.request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    return call.json();
  }
  const form = new URLSearchParams(new TextDecoder().decode(await readBytes(call.request, maxFormBytes)));
  const body = Object.fromEntries(form);
  if (Object.keys(body).length !== [...form].length) {
    throw new Problem(400, "invalid_request", "A parameter is given twice.");
  }
  return body;
}

const maxFormBytes = 2 * AUTH.maxBytes;

/** Our refresh tokens say what they are, so that a search for leaked secrets finds them. */
export function isRefreshToken(token: string): boolean {
  return token.startsWith(AUTH.refreshPrefix);
}
