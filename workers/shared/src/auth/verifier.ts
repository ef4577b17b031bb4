import { errors, type JWTPayload, jwtVerify } from "jose";

import type { Caller, Role } from "../caller";
import { AUTH } from "../contract.gen";
import { Problem } from "../problem";
import { parseHeader } from "./header";
import { KeySet } from "./jwks";
import { type Marks, Revocations } from "./revocations";

interface Verified {
  readonly caller: Caller;
  readonly kid: string;
  readonly material: string;
  readonly expires: number;
  readonly marks: Marks;
  /** Of the list of revocations that the token was last held against. */
  revision: number;
}

/** What a verification needs from its request: where the keys are, whose tokens count, and the time in seconds. */
export interface Scope {
  readonly keys: KVNamespace;
  readonly issuer: string;
  readonly now: number;
}

/**
 * Verifies tokens for one isolate and remembers the outcome by the token itself: a digest of it costs a request more than all the
 * rest of its check, and the isolate's memory holds every token it is given anyway.
 * A remembered token is forgotten when it expires, or when its key is no longer published with the same material. It is held against
 * the revocations again when those have changed, and then alone: a request in between pays for two comparisons.
 */
export class Verifier {
  private readonly keySet = new KeySet();
  private readonly revocations = new Revocations();
  private readonly verified = new Map<string, Verified>();

  async verify(token: string, scope: Scope): Promise<Caller> {
    if (token.length > AUTH.maxBytes) {
      throw invalid("The token is too long.");
    }
    const known = this.recall(token, scope);
    if (known !== undefined) {
      return known;
    }
    const verified = await this.check(token, scope);
    this.remember(token, verified);
    return verified.caller;
  }

  /** How many tokens are remembered; AUTH.maxVerified at most. */
  get remembered(): number {
    return this.verified.size;
  }

  private recall(token: string, scope: Scope): Caller | undefined {
    const entry = this.verified.get(token);
    if (entry === undefined) {
      return undefined;
    }
    if (entry.expires <= scope.now) {
      this.verified.delete(token);
      return undefined;
    }
    // A stale or changed key set, and a stale list of revocations, send the token through the whole check again.
    if (!this.revocations.isFresh(scope.now) || this.keySet.peek(entry.kid, scope.now)?.material !== entry.material) {
      return undefined;
    }
    if (entry.revision !== this.revocations.revision) {
      this.refuseRevoked(entry.marks);
      entry.revision = this.revocations.revision;
    }
    return entry.caller;
  }

  private refuseRevoked(marks: Marks): void {
    if (this.revocations.revokes(marks)) {
      throw refuse("token_revoked", "The token was revoked.");
    }
    if (this.revocations.suspends(marks)) {
      throw new Problem(403, "tenant_suspended", "The token's tenant is suspended.");
    }
  }

  private remember(token: string, verified: Verified): void {
    this.verified.delete(token);
    if (this.verified.size >= AUTH.maxVerified) {
      const oldest = this.verified.keys().next();
      if (oldest.done !== true) {
        this.verified.delete(oldest.value);
      }
    }
    this.verified.set(token, verified);
  }

  private async check(token: string, scope: Scope): Promise<Verified> {
    const [{ claims, kid, material }] = await Promise.all([
      verifyToken(token, this.keySet, scope),
      this.revocations.refresh(scope.keys, scope.now),
    ]);
    const caller = callerOf(claims);
    const marks = marksOf(claims, caller);
    this.refuseRevoked(marks);
    return { caller, kid, material, expires: (claims.exp as number) + AUTH.clockSkew, marks, revision: this.revocations.revision };
  }
}

/** The claims of a token that a published key signed, and that key. Whether it was revoked is another question. */
export async function verifyToken(token: string, keySet: KeySet, scope: Scope) {
  const header = parseHeader(token);
  if (header === undefined) {
    throw invalid("The token's header is not one of ours.");
  }
  const found = await keySet.find(header.kid, scope.keys, scope.now);
  if (found === undefined) {
    throw invalid("The token names a key that is not published.");
  }
  return { claims: await verifyClaims(token, found.key, scope), kid: header.kid, material: found.material };
}

async function verifyClaims(token: string, key: CryptoKey, scope: Scope): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [AUTH.alg],
      issuer: scope.issuer,
      clockTolerance: AUTH.clockSkew,
      currentDate: new Date(scope.now * 1000),
      requiredClaims: ["exp", "iat", "sub"],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) {
      throw refuse("token_expired", "The token has expired.");
    }
    throw invalid("The token's signature or claims do not hold.", error);
  }
}

/** What a revocation may name of a token; tokens of before have no jti, and those of no sign-in no family. */
export function marksOf({ jti, fam, iat }: JWTPayload, { id, tenant }: Caller): Marks {
  return {
    tenant: tenant ?? undefined,
    jti: typeof jti === "string" ? jti : undefined,
    family: typeof fam === "string" ? fam : undefined,
    subject: id as string,
    issued: iat as number,
  };
}

export function callerOf(claims: JWTPayload): Caller {
  const { email, sub, role, tid } = claims as Record<string, unknown>;
  const id = typeof email === "string" ? email.toLowerCase() : sub;
  if (typeof id !== "string" || id === "" || !AUTH.roles.includes(role as Role)) {
    throw invalid("The token names nobody, or a role that is not ours.");
  }
  return Object.freeze({ id, role: role as Role, tenant: typeof tid === "string" ? tid : null, admin: false });
}

function invalid(detail: string, cause?: unknown): Problem {
  return refuse("token_invalid", detail, cause);
}

function refuse(code: string, detail: string, cause?: unknown): Problem {
  return new Problem(401, code, detail, { cause, headers: { "www-authenticate": `Bearer error="invalid_token"` } });
}
