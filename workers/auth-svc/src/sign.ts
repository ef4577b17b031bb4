import { importPKCS8, SignJWT } from "jose";

import type { Role } from "../../shared/src/caller";
import { AUTH } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Env } from "./env.gen";

/** The claims that differ from token to token; iat, exp and iss are set here. */
export interface Claims {
  readonly sub: string;
  readonly role: Role;
  readonly email?: string;
  readonly tid?: string;
  /** Names this one token, so that it can be revoked alone. A guest's subject does that already. */
  readonly jti?: string;
  /** The sign-in that a token belongs to. */
  readonly fam?: string;
}

export interface Signed {
  readonly token: string;
  /** When the token expires, in seconds since 1970. */
  readonly exp: number;
}

/** Importing costs more than signing, so an isolate imports its key once; a changed secret is a new isolate. */
let imported: { readonly pem: string; readonly key: CryptoKey } | undefined;

async function signingKey({ slot, pem }: Slot): Promise<CryptoKey> {
  if (imported !== undefined && imported.pem === pem) {
    return imported.key;
  }
  try {
    const key = await importPKCS8(pem, AUTH.alg);
    imported = { pem, key };
    return key;
  } catch (error) {
    throw unusable(`the key of slot ${slot} is not a PKCS#8 RSA key`, error);
  }
}

interface Slot {
  readonly slot: string;
  readonly kid: string;
  readonly pem: string;
}

/**
 * The slot that the pointer names, as "slot:kid". The kid is said twice, in the slot and in the pointer, so that a slot which was
 * written again since never signs: its new key may not be published. Without a pointer the first slot signs.
 */
export function signingSlot(env: Env): Slot {
  const secrets = env as unknown as Readonly<Record<string, string | undefined>>;
  const [name, meant] = split(secrets[AUTH.signingPointer] ?? "");
  const place = name === "" ? AUTH.signingSlots[0] : AUTH.signingSlots.find((slot) => slot.name === name);
  if (place === undefined) {
    throw unusable("the pointer names no slot");
  }
  const kid = secrets[place.kid] ?? "";
  if (kid === "") {
    throw unusable(`slot ${place.name} names no key`);
  }
  if (name !== "" && meant !== kid) {
    throw unusable(`slot ${place.name} holds another key than the pointer means`);
  }
  return { slot: place.name, kid, pem: secrets[place.key] ?? "" };
}

function split(pointer: string): [string, string] {
  const at = pointer.indexOf(":");
  return at < 0 ? [pointer, ""] : [pointer.slice(0, at), pointer.slice(at + 1)];
}

function unusable(why: string, cause?: unknown): Problem {
  return new Problem(503, "signing_key_unusable", undefined, { cause: new Error(why, { cause }) });
}

/** Signs a token of ours that lives for AUTH.life seconds from now. */
export async function sign(env: Env, claims: Claims, now: number): Promise<Signed> {
  const slot = signingSlot(env);
  const exp = now + AUTH.life;
  const token = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: AUTH.alg, typ: "JWT", kid: slot.kid })
    .setIssuedAt(now)
    .setExpirationTime(exp)
    .setIssuer(env.ISSUER)
    .sign(await signingKey(slot));
  return { token, exp };
}
