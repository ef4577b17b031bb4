import { readJwks } from "../../shared/src/auth/jwks";
import { AUTH } from "../../shared/src/contract.gen";
import { json } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";

/** Publishes the verification keys: of what KV holds, the public members alone. */
export async function jwks({ env }: Call<Env>): Promise<Response> {
  const keys = await readJwks(env.KEYS);
  return json({ keys }, 200, { "cache-control": `public, max-age=${AUTH.jwksMaxAge}` });
}
