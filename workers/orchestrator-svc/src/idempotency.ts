import { MODELS } from "../../shared/src/contract.gen";
import { KEYS, key } from "../../shared/src/keys";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { digestOf } from "./digest";
import type { Env } from "./env.gen";
import type { Answer } from "./journey";

const { keepS, maxKeyChars } = MODELS.idempotency;

/** What is kept of an answer: a digest of the request that it is to, and itself. */
interface Kept {
  readonly basis: string;
  readonly answer: Answer;
}

/** Digests of the keys whose answers this isolate is making now: the same key again is told to wait. It holds nothing of a request. */
const underWay = new Set<string>();

/** One caller's use of one Idempotency-Key. */
export interface Once {
  /** The key with a digest of the request that it came with: what is charged once. Undefined without a key. */
  readonly name: readonly [given: string, basis: string] | undefined;
  /** The answer that was given before, if any. */
  readonly kept: Answer | undefined;
  /** Keeps the answer that was given now. */
  keep(answer: Answer): Promise<void>;
  /** Lets the key go, whether there was an answer or not. Can be called again. */
  end(): void;
}

const always: Once = { name: undefined, kept: undefined, keep: async () => {}, end: () => {} };

/**
 * Looks up what a key was used for. KV decides nothing at once for the whole world: two calls at the same moment in two places may both
 * be answered. Both are charged under one id, made of the name, which the ledger takes once.
 */
export async function once(call: Call<Env>, request: unknown): Promise<Once> {
  const given = call.request.headers.get("idempotency-key");
  if (given === null) {
    return always;
  }
  if (!/^[\x20-\x7e]+$/.test(given) || given.length > maxKeyChars) {
    throw new Problem(400, "invalid_idempotency_key", `Idempotency-Key is 1 to ${maxKeyChars} printable characters.`);
  }
  const [digest, basis] = await Promise.all([digestOf([call.caller.id, given]), digestOf(request)]);
  if (underWay.has(digest)) {
    throw new Problem(409, "idempotency_in_progress", "The first call with this key is being answered.", {
      headers: { "retry-after": "1" },
    });
  }
  underWay.add(digest);
  try {
    return {
      name: [given, basis],
      kept: await lookUp(call.env.KV, digest, basis),
      keep: (answer) => keep(call.env.KV, digest, { basis, answer }),
      end: () => underWay.delete(digest),
    };
  } catch (error) {
    underWay.delete(digest);
    throw error;
  }
}

async function lookUp(kv: KVNamespace, digest: string, basis: string): Promise<Answer | undefined> {
  let kept: Kept | null;
  try {
    kept = await kv.get<Kept>(key(KEYS.answer, { digest }), "json");
  } catch (cause) {
    // Without the store nobody knows whether this was paid for already.
    throw new Problem(503, "idempotency_unavailable", undefined, { cause, headers: { "retry-after": "5" } });
  }
  if (kept !== null && kept.basis !== basis) {
    throw new Problem(409, "idempotency_key_reused", "This Idempotency-Key was used for another request.");
  }
  return kept?.answer;
}

async function keep(kv: KVNamespace, digest: string, kept: Kept): Promise<void> {
  await kv.put(key(KEYS.answer, { digest }), JSON.stringify(kept), { expirationTtl: keepS });
}
