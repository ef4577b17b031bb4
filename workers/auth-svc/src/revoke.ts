import { noted } from "../../shared/src/admin-note";
import { type JsonObject, optionalText } from "../../shared/src/body";
import { AUTH } from "../../shared/src/contract.gen";
import { isUuid } from "../../shared/src/ids";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { type Books, listedUntil, type Revocation, type RevokedKind, withBooks } from "./books";
import type { Env } from "./env.gen";
import { formOrJson, isRefreshToken } from "./form";
import { verified } from "./introspect";
import { digestOf } from "./refresh";

const names = ["jti", "subject", "family"] as const satisfies readonly RevokedKind[];

/**
 * Ends a token, by holding it or by the admin key (RFC 7009); the admin key also ends what it can only name. Answers once the list is
 * published; from then on AUTH.revokedBound seconds bound how long anyone may still accept it.
 */
export async function revoke(call: Call<Env>): Promise<Response> {
  const body = await formOrJson(call);
  const now = Math.floor(Date.now() / 1000);
  const token = optionalText(body, "token", AUTH.maxBytes);
  const named = readNamed(body, now);
  if ((token === undefined ? 0 : 1) + named.length !== 1) {
    throw new Problem(400, "invalid_request", `Give one of: token, ${names.join(", ")}.`);
  }
  const admin = call.caller.admin;
  if (token === undefined && !admin) {
    throw new Problem(403, "forbidden", "Without the token itself this needs the admin key.");
  }
  const revocation = token === undefined ? named[0] : await readToken(call, token, now, optionalText(body, "reason", 512));
  if (revocation !== undefined) {
    await withBooks(call.env, call.ctx, (books) => make(call.env, books, revocation, { admin, now }));
  }
  // A token that is none, or has expired, is as revoked as it can be: that is no error (RFC 7009, 2.2).
  const within = { usually_within_s: AUTH.revokedUsual, within_s: AUTH.revokedBound };
  if (!admin) {
    return json({ ok: true, ...within });
  }
  const ended = revocation === undefined ? null : { [revocation.kind]: revocation.value };
  return noted(json({ ok: true, revoked: ended, ...within }), { ...ended, reason: revocation?.why ?? null });
}

async function make(env: Env, books: Books, revocation: Revocation, { admin, now }: { admin: boolean; now: number }): Promise<void> {
  // Anyone can get tokens and give them back; operators must still be able to revoke when somebody does so for sport.
  if (!admin && (await books.listed()) >= AUTH.maxRevoked) {
    throw new Problem(503, "revocations_full", undefined, { headers: { "retry-after": "600" } });
  }
  await books.revoke(revocation);
  await books.publish(env.KEYS, now);
}

async function readToken(call: Call<Env>, token: string, now: number, reason: string | undefined): Promise<Revocation | undefined> {
  const why = call.caller.admin ? (reason ?? "by an operator") : "by its holder";
  if (isRefreshToken(token)) {
    const digest = await digestOf(token);
    const shown = await withBooks(call.env, call.ctx, (books) => books.show(digest));
    return shown && { kind: "family", value: shown.family, issuedUntil: now, listedUntil: listedUntil(now), why };
  }
  const known = await verified(call.env, token);
  if (known === undefined) {
    return undefined;
  }
  const { jti, subject, issued } = known.marks;
  const until = (known.claims.exp as number) + AUTH.clockSkew;
  // A guest's subject has this one token. One of a user's from before tokens had names takes those with it that are older still.
  return jti === undefined
    ? { kind: "subject", value: subject, issuedUntil: issued, listedUntil: until, why }
    : { kind: "jti", value: jti, issuedUntil: issued, listedUntil: until, why };
}

function readNamed(body: JsonObject, now: number): Revocation[] {
  const why = optionalText(body, "reason", 512) ?? "by an operator";
  return names.flatMap((kind) => {
    const text = optionalText(body, kind, 320);
    const value = kind === "subject" ? text?.trim().toLowerCase() : text;
    if (value !== undefined && kind !== "subject" && !isUuid(value)) {
      throw new Problem(400, `invalid_${kind}`, `${kind} is not a UUID.`);
    }
    return value === undefined ? [] : [{ kind, value, issuedUntil: now, listedUntil: listedUntil(now), why }];
  });
}
