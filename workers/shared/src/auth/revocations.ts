import { AUTH } from "../contract.gen";
import { KEYS, key } from "../keys";
import { Problem } from "../problem";

/** What of a token a revocation may name. */
export interface Marks {
  readonly jti: string | undefined;
  readonly family: string | undefined;
  readonly tenant: string | undefined;
  /** The identity that the token stands for. */
  readonly subject: string;
  readonly issued: number;
}

/** The published list: single tokens, whole sign-ins, subjects with the second up to which their tokens are revoked, and suspended tenants. */
export interface RevokedList {
  readonly jti: ReadonlySet<string>;
  readonly family: ReadonlySet<string>;
  readonly subject: ReadonlyMap<string, number>;
  readonly tenant: ReadonlySet<string>;
}

const nothing: RevokedList = { jti: new Set(), family: new Set(), subject: new Map(), tenant: new Set() };

/** Reads a published list; undefined for text that is none. A list that is not understood must never count as an empty one. */
export function parseRevoked(text: string): RevokedList | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { jti, family, subject, tenant = [] } = (document ?? {}) as Record<string, unknown>; // lists of before have no tenants
  if (!isTexts(jti) || !isTexts(family) || !isPairs(subject) || !isTexts(tenant)) {
    return undefined;
  }
  return { jti: new Set(jti), family: new Set(family), subject: new Map(subject), tenant: new Set(tenant) };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isPairs(value: unknown): value is [string, number][] {
  return Array.isArray(value) && value.every((pair) => Array.isArray(pair) && typeof pair[0] === "string" && Number.isInteger(pair[1]));
}

/**
 * The revocations that one isolate knows. A copy serves for AUTH.gatewayCache seconds; when KV then fails, for AUTH.jwksMaxAge at most,
 * and after that nobody gets in by a token: that is what AUTH.revokedBound promises.
 */
export class Revocations {
  private list = nothing;
  private text: string | null = null;
  private loaded = Number.NEGATIVE_INFINITY;
  /** Another number than before means another list than before. */
  revision = 0;

  /** The copy at hand may still be relied on: the hot path, without a promise. */
  isFresh(now: number): boolean {
    return now - this.loaded < AUTH.gatewayCache;
  }

  revokes({ jti, family, subject, issued }: Marks): boolean {
    const { list } = this;
    return (
      (jti !== undefined && list.jti.has(jti)) ||
      (family !== undefined && list.family.has(family)) ||
      issued <= (list.subject.get(subject) ?? Number.NEGATIVE_INFINITY)
    );
  }

  suspends({ tenant }: Marks): boolean {
    return tenant !== undefined && this.list.tenant.has(tenant);
  }

  async refresh(keys: KVNamespace, now: number): Promise<void> {
    if (this.isFresh(now)) {
      return;
    }
    try {
      this.take(await keys.get(key(KEYS.revoked, {})));
      this.loaded = now;
    } catch (error) {
      if (now - this.loaded >= AUTH.jwksMaxAge) {
        throw new Problem(503, "revocations_unavailable", undefined, { cause: error, headers: { "retry-after": "5" } });
      }
    }
  }

  /** Where nothing was ever revoked there is no list. */
  private take(text: string | null): void {
    if (text === this.text) {
      return;
    }
    const list = text === null ? nothing : parseRevoked(text);
    if (list === undefined) {
      throw new Error("the published revocations cannot be read");
    }
    this.list = list;
    this.text = text;
    this.revision++;
  }
}
