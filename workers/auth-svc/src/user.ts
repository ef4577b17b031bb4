import { noted } from "../../shared/src/admin-note";
import { type JsonObject, optionalText, requiredText } from "../../shared/src/body";
import type { Role } from "../../shared/src/caller";
import { AUTH } from "../../shared/src/contract.gen";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { type Books, withBooks } from "./books";
import type { Env } from "./env.gen";
import { openFamily } from "./refresh";
import { type Claims, sign } from "./sign";
import { refuseUnlessActive } from "./tenants";

/** Mints a user's token for whoever holds the admin key. The gateway checks the key; this checks the gateway. */
export async function userToken(call: Call<Env>): Promise<Response> {
  if (!call.caller.admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
  const body = await call.json();
  const claims = userClaims(body);
  const now = Math.floor(Date.now() / 1000);
  const { tid = null, sub: account, role } = claims;
  const known = async (books: Books) => (tid === null ? undefined : refuseUnlessActive(books, tid));
  if (!wantsRefresh(body)) {
    await (tid === null ? undefined : withBooks(call.env, call.ctx, known));
    return told(await sign(call.env, claims, now), claims);
  }
  const minted = await withBooks(call.env, call.ctx, async (books) => {
    await known(books);
    return openFamily(call.env, books, { account, role, tenant: tid }, now);
  });
  return told(minted, claims);
}

/** The log names the token by what revokes it, and never holds it. */
function told(minted: object, { email, role, tid, jti }: Claims): Response {
  return noted(json(minted), { account: email ?? null, role, tenant: tid ?? null, jti: jti ?? null, refresh: "refresh_token" in minted });
}

/** Without it nothing is kept, and the database is not needed, unless to know a tenant. */
function wantsRefresh({ refresh }: JsonObject): boolean {
  if (refresh !== undefined && typeof refresh !== "boolean") {
    throw new Problem(400, "invalid_refresh", "refresh is neither true nor false.");
  }
  return refresh === true;
}

function userClaims(body: JsonObject): Claims {
  const email = requiredText(body, "email", 254).trim().toLowerCase();
  if (!/^[^\s@\p{Cc}:/]+@[^\s@\p{Cc}:/]+\.[^\s@\p{Cc}:/]+$/u.test(email)) {
    throw new Problem(400, "invalid_email", "email is not an address.");
  }
  const role = optionalText(body, "role", 32) ?? "user";
  if (role === "guest" || !AUTH.roles.includes(role as Role)) {
    throw new Problem(400, "invalid_role", `role is not one of: ${AUTH.roles.filter((r) => r !== "guest").join(", ")}.`);
  }
  const tid = optionalText(body, "tid", 128);
  if (tid !== undefined && !/^[\w-]+$/.test(tid)) {
    throw new Problem(400, "invalid_tid", "tid has other characters than letters, digits, - and _.");
  }
  return { sub: email, email, role: role as Role, jti: crypto.randomUUID(), ...(tid === undefined ? {} : { tid }) };
}
