import { secretEquals } from "../../shared/src/auth/secret";
import { type Scope, Verifier } from "../../shared/src/auth/verifier";
import { anonymous, type Caller } from "../../shared/src/caller";
import { AUTH } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Env } from "./env.gen";
import type { Incoming } from "./incoming";
import type { Target } from "./table";

/** Keys and verified tokens outlive a request; nothing of a request is kept but the digest of its token. */
const verifier = new Verifier();

/**
 * Establishes who is calling. A credential that is given and does not verify is refused. Paths of level none never come here:
 * a browser with a stale cookie must still get a new token.
 */
export async function identify(incoming: Incoming, env: Env, access: Exclude<Target["auth"], "none">, query: string): Promise<Caller> {
  const given = adminKeyGiven(incoming);
  const admin = given !== null && (await secretEquals(given, env.ADMIN_API_KEY));
  if (given !== null && !admin) {
    throw new Problem(401, "admin_key_invalid");
  }
  const token = admin ? null : (bearerToken(incoming.header("authorization")) ?? cookieToken(incoming.header("cookie")));
  const caller = token === null ? { ...anonymous, admin } : await verifier.verify(token, scopeOf(env));
  if (access === "admin" && !admin) {
    throw caller.id === null ? new Problem(401, "admin_key_required") : new Problem(403, "forbidden", "This needs the admin key.");
  }
  const acting = claimedIdentity(caller, incoming.header("x-user-email"), query);
  if (access === "token" && acting.id === null && !admin) {
    throw new Problem(401, "token_required", undefined, { headers: { "www-authenticate": "Bearer" } });
  }
  return acting;
}

const adminHeaders = AUTH.adminHeaders.map((name) => name.toLowerCase() as Lowercase<string>);

/** The first of the admin headers that is there; a wrong key is not made good by a right one in the other. */
function adminKeyGiven(incoming: Incoming): string | null {
  for (const name of adminHeaders) {
    const given = incoming.header(name);
    if (given !== null) {
      return given;
    }
  }
  return null;
}

function scopeOf(env: Env): Scope {
  return { keys: env.KEYS, issuer: env.ISSUER, now: Math.floor(Date.now() / 1000) };
}

/** Two Authorization headers arrive joined by a comma, which no token has: they are refused, not chosen from. */
function bearerToken(authorization: string | null): string | null {
  if (authorization === null) {
    return null;
  }
  if (authorization.slice(0, 7).toLowerCase() !== "bearer " || !/^[\w.-]+$/.test(authorization.slice(7))) {
    throw new Problem(401, "token_invalid", "Authorization is not one Bearer token.", { headers: { "www-authenticate": "Bearer" } });
  }
  return authorization.slice(7);
}

function cookieToken(cookies: string | null): string | null {
  if (cookies === null) {
    return null;
  }
  const prefix = `${AUTH.cookie}=`;
  const found = cookies.split(";").flatMap((pair) => (pair.trimStart().startsWith(prefix) ? [pair.trim().slice(prefix.length)] : []));
  if (found.length > 1) {
    // Another host of the domain can plant a second cookie; choosing one would let it choose who the caller is.
    throw new Problem(401, "token_invalid", `There are ${found.length} cookies ${AUTH.cookie}.`);
  }
  return found[0] ?? null;
}

/** Old clients also say who they are in X-User-Email or ?email=. It must be true, or the admin key must stand behind it. */
function claimedIdentity(caller: Caller, header: string | null, query: string): Caller {
  if (header === null && !query.includes("=")) {
    return caller;
  }
  const claims = new URLSearchParams(query).getAll("email");
  if (header !== null) {
    claims.push(header);
  }
  const [claim, ...more] = claims.map((email) => email.trim().toLowerCase());
  if (claim === undefined) {
    return caller;
  }
  const agreed = more.every((other) => other === claim);
  if (agreed && claim !== "" && caller.admin) {
    return { ...caller, id: claim };
  }
  if (!agreed || claim !== caller.id) {
    throw new Problem(403, "identity_mismatch", "The email given is not the caller's own.");
  }
  return caller;
}

/** A cookie goes along with requests of any page. A page that may not read answers may not cause changes either. */
export function refuseForeignCookie(incoming: Incoming, originAllowed: boolean): void {
  const { method, headers } = incoming;
  if (method === "GET" || method === "HEAD" || originAllowed || !headers.has("origin") || headers.has("authorization")) {
    return;
  }
  if (headers.get("cookie")?.includes(`${AUTH.cookie}=`) === true) {
    throw new Problem(403, "origin_not_allowed", "A cookie does not count from this origin.");
  }
}
