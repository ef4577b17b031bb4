import { MODELS } from "../../shared/src/contract.gen";
import { within } from "../../shared/src/deadline";
import { KEYS, key } from "../../shared/src/keys";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Asked } from "./asked";
import { digestOf } from "./digest";
import type { Env } from "./env.gen";
import type { Answer } from "./journey";

const { keepS, maxChars, lookMs } = MODELS.promptCache;
const skills: readonly string[] = MODELS.promptCache.skills;

/** What one question may have of the answers that were given before. */
export interface PromptCache {
  /** The answer to the same question of the same account. It never rejects, and comes in `lookMs`. */
  readonly known: Promise<Answer | undefined>;
  /** Keeps an answer for the next who asks the same. It never rejects. */
  keep(answer: Answer): Promise<void>;
}

/**
 * The cache of a question, undefined where nothing is to be known or kept of it. It is the account's own, in its tenant: nobody is given
 * what another was told. Guests have none, for nobody would pay for keeping.
 */
export function promptCache(call: Call<Env>, asked: Asked, account: string | undefined, now = Date.now()): PromptCache | undefined {
  const youngerThanS = account === undefined ? undefined : maxAgeOf(call.request.headers.get("cache-control"), asked);
  if (youngerThanS === undefined) {
    return undefined;
  }
  const { KV } = call.env;
  const name = digestOf([account, call.caller.tenant, asked.tier.models, asked.question]).then((digest) =>
    key(KEYS.known_answer, { digest }),
  );
  const look = async () => youngerThan(await KV.get<Answer>(await name, "json"), now - youngerThanS * 1000);
  return {
    known: youngerThanS === 0 ? Promise.resolve(undefined) : inTime(look()),
    keep: async (answer) => {
      if (isWorthKeeping(answer, asked)) {
        await kept(KV, await name, { ...answer, attempts: [], madeAtMs: Date.now() });
      }
    },
  };
}

/**
 * How old an answer may be, in seconds: by the caller's word (RFC 9111, 5.2.1), else by the skill's. 0 asks a model and keeps its answer
 * in the place of an older one; undefined does neither. Who asks for variety is not given the same again, unless by its own word.
 */
export function maxAgeOf(header: string | null, { skill, question }: Asked): number | undefined {
  const said = directives(header);
  if (said.has("no-store")) {
    return undefined;
  }
  if (said.has("no-cache")) {
    return 0;
  }
  const maxAge = said.get("max-age");
  if (maxAge !== undefined) {
    return /^\d{1,9}$/.test(maxAge) ? Math.min(Number(maxAge), keepS) : 0;
  }
  return skills.includes(skill) && (question.temperature ?? 0) === 0 ? keepS : undefined;
}

const none: ReadonlyMap<string, string> = new Map();

function directives(header: string | null): ReadonlyMap<string, string> {
  if (header === null) {
    return none;
  }
  return new Map(
    header.split(",").map((directive): [string, string] => {
      const [name = "", value = ""] = directive.split("=");
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, "$1")];
    }),
  );
}

/** An answer that was cut is not what another asks for, and a provider that does not say so has still come to the most it may write. */
function isWorthKeeping({ text, finish, tokensOut }: Answer, { question }: Asked): boolean {
  return finish === "stop" && tokensOut < question.maxTokens && text.length <= maxChars;
}

function youngerThan(answer: Answer | null, atMs: number): Answer | undefined {
  return answer !== null && (answer.madeAtMs ?? 0) >= atMs ? answer : undefined;
}

/** A store that is slow or down is one that knows nothing. */
async function inTime(looking: Promise<Answer | undefined>): Promise<Answer | undefined> {
  try {
    return await within(lookMs, looking, () => new Problem(504, "cache_timeout"));
  } catch (error) {
    console.error(JSON.stringify({ worker: "orchestrator-svc", what: "known answer not read", cause: String(error) }));
    return undefined;
  }
}

async function kept(kv: KVNamespace, name: string, answer: Answer): Promise<void> {
  try {
    await kv.put(name, JSON.stringify(answer), { expirationTtl: keepS });
  } catch (error) {
    console.error(JSON.stringify({ worker: "orchestrator-svc", what: "known answer not kept", cause: String(error) }));
  }
}
