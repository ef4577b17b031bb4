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
}

export interface Signed {
  readonly token: string;
  /** When the token expires, in seconds since 1970. */
  readonly exp: number;
}

/** Importing costs more than signing, so an isolate imports its key once; a changed secret is a new isolate. */
let imported: { readonly pem: string; readonly key: CryptoKey } | undefined;

async function signingKey(pem: string | undefined): Promise<CryptoKey> {
  if (imported !== undefined && imported.pem === pem) {
    return imported.key;
  }
  try {
    const key = await importPKCS8(pem ?? "", AUTH.alg);
    imported = { pem: pem ?? "", key };
    return key;
  } catch (error) {
    throw new Problem(503, "signing_key_unusable", undefined, {
      cause: new Error("PRIVATE_KEY_PEM is not a PKCS#8 RSA key", { cause: error }),
    });
  }
}

/** Signs a token of ours that lives for AUTH.life seconds from now. */
export async function sign(env: Env, claims: Claims, now: number): Promise<Signed> {
  if (!env.KID) {
    throw new Problem(503, "signing_key_unusable", undefined, { cause: new Error("KID is not set") });
  }
  const exp = now + AUTH.life;
  const token = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: AUTH.alg, typ: "JWT", kid: env.KID })
    .setIssuedAt(now)
    .setExpirationTime(exp)
    .setIssuer(env.ISSUER)
    .sign(await signingKey(env.PRIVATE_KEY_PEM));
  return { token, exp };
}
