import { AUTH } from "../contract.gen";
import { KEYS, key } from "../keys";
import { Problem } from "../problem";

/** What of a key anyone may see. */
export interface PublicJwk {
  readonly kty: "RSA";
  readonly alg: typeof AUTH.alg;
  readonly use: "sig";
  readonly kid: string;
  readonly n: string;
  readonly e: string;
}

/** Reads the published document from KV and keeps of each key its public members alone, so that a private one can never leave. */
export async function readJwks(keys: KVNamespace): Promise<PublicJwk[]> {
  const text = await keys.get(key(KEYS.jwks, {}));
  if (text === null) {
    throw new Problem(503, "jwks_missing", "No verification keys are published yet.", { headers: { "retry-after": "60" } });
  }
  const published = parseJwks(text);
  if (published.length === 0) {
    throw new Problem(503, "jwks_invalid", "The published verification keys cannot be used.", { headers: { "retry-after": "60" } });
  }
  return published;
}

/** Takes from a JWKS the RSA signature keys that RS256 may use; anything else in it is passed over. */
export function parseJwks(text: string): PublicJwk[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return [];
  }
  const list = (document as { keys?: unknown } | null)?.keys;
  return Array.isArray(list) ? list.slice(0, AUTH.maxKeys).flatMap(publicKey) : [];
}

function publicKey(candidate: unknown): PublicJwk[] {
  if (typeof candidate !== "object" || candidate === null) {
    return [];
  }
  const { kty, alg, use, kid, n, e } = candidate as Record<string, unknown>;
  if (kty !== "RSA" || (alg ?? AUTH.alg) !== AUTH.alg || (use ?? "sig") !== "sig") {
    return [];
  }
  if (typeof kid !== "string" || kid === "" || typeof n !== "string" || typeof e !== "string" || modulusBits(n) < AUTH.minModulusBits) {
    return [];
  }
  return [{ kty, alg: AUTH.alg, use: "sig", kid, n, e }];
}

/** Six bits a base64url letter; a modulus of k bits has at least k bits of text. */
function modulusBits(n: string): number {
  return n.length * 6;
}

/** An imported key, and a name that changes when its material does. */
export interface VerificationKey {
  readonly key: CryptoKey;
  readonly material: string;
}

/**
 * The verification keys of one isolate. A copy serves for AUTH.gatewayCache seconds; when KV then fails, for AUTH.jwksMaxAge at most.
 * Only values are kept, never a promise: a promise belongs to the request that made it.
 */
export class KeySet {
  private byId: ReadonlyMap<string, VerificationKey> = new Map();
  private loaded = Number.NEGATIVE_INFINITY;
  private refetched = Number.NEGATIVE_INFINITY;

  /** The key of an id, or undefined. An unknown id makes one reload, and the next such reload waits AUTH.unknownKidRefetch seconds. */
  async find(kid: string, keys: KVNamespace, now: number): Promise<VerificationKey | undefined> {
    if (now - this.loaded >= AUTH.gatewayCache) {
      await this.reload(keys, now);
    }
    const found = this.byId.get(kid);
    if (found !== undefined || now - this.refetched < AUTH.unknownKidRefetch || this.loaded === now) {
      return found;
    }
    this.refetched = now;
    await this.reload(keys, now);
    return this.byId.get(kid);
  }

  /** The key of an id if the copy at hand is still fresh: the hot path, without a promise. */
  peek(kid: string, now: number): VerificationKey | undefined {
    return now - this.loaded < AUTH.gatewayCache ? this.byId.get(kid) : undefined;
  }

  private async reload(keys: KVNamespace, now: number): Promise<void> {
    try {
      const published = await readJwks(keys);
      this.byId = new Map(await Promise.all(published.map(importKey)));
      this.loaded = now;
    } catch (error) {
      if (now - this.loaded >= AUTH.jwksMaxAge) {
        throw error instanceof Problem ? error : new Problem(503, "jwks_unavailable", undefined, { cause: error });
      }
    }
  }
}

async function importKey(jwk: PublicJwk): Promise<[string, VerificationKey]> {
  const key = await crypto.subtle.importKey("jwk", { ...jwk }, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, ["verify"]);
  return [jwk.kid, { key, material: `${jwk.e}.${jwk.n}` }];
}
