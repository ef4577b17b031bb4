import { KeySet } from "../../shared/src/auth/jwks";
import { callerOf, marksOf, verifyToken } from "../../shared/src/auth/verifier";
import { requiredText } from "../../shared/src/body";
import { AUTH } from "../../shared/src/contract.gen";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { withBooks } from "./books";
import type { Env } from "./env.gen";
import { formOrJson, isRefreshToken } from "./form";
import { digestOf } from "./refresh";

const keySet = new KeySet();

/** Only that a token is not active is said of one that is not: why is nobody's business who did not know already (RFC 7662, 2.2). */
const inactive = { active: false } as const;

/** What a token is worth now. The database is asked, not a copy: when it is away there is no answer, rather than an old one. */
export async function introspect(call: Call<Env>): Promise<Response> {
  if (!call.caller.admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
  const token = requiredText(await formOrJson(call), "token", AUTH.maxBytes);
  return json(isRefreshToken(token) ? await showRefresh(call, token) : await showAccess(call, token));
}

async function showRefresh({ env, ctx }: Call<Env>, token: string): Promise<object> {
  const digest = await digestOf(token);
  const shown = await withBooks(env, ctx, (books) => books.show(digest));
  if (shown?.active !== true) {
    return inactive;
  }
  const { account, role, tenant, family, expires } = shown;
  const tid = tenant === null ? {} : { tid: tenant };
  return {
    active: true,
    token_type: "refresh_token",
    iss: env.ISSUER,
    sub: account,
    email: account,
    role,
    ...tid,
    fam: family,
    exp: expires,
  };
}

async function showAccess({ env, ctx }: Call<Env>, token: string): Promise<object> {
  const known = await verified(env, token);
  if (known === undefined) {
    return inactive;
  }
  const revoked = await withBooks(env, ctx, (books) => books.isRevoked(known.marks));
  return revoked ? inactive : { active: true, token_type: "Bearer", ...known.claims };
}

/** A token's claims and marks, or undefined for what is no token of ours or has expired. */
export async function verified(env: Env, token: string) {
  try {
    const scope = { keys: env.KEYS, issuer: env.ISSUER, now: Math.floor(Date.now() / 1000) };
    const { claims } = await verifyToken(token, keySet, scope);
    return { claims, marks: marksOf(claims, callerOf(claims)) };
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      return undefined;
    }
    throw error;
  }
}
