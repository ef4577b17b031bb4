import { noted } from "../../shared/src/admin-note";
import { type JsonObject, optionalText, requiredText } from "../../shared/src/body";
import { MODELS } from "../../shared/src/contract.gen";
import { uuidv7 } from "../../shared/src/ids";
import { KEYS, key } from "../../shared/src/keys";
import { revTs } from "../../shared/src/money/usage";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Target } from "./breakers";
import type { Env } from "./env.gen";
import { breakers } from "./known";
import { nameOf, type Word } from "./overrides";
import { providersOf } from "./provider";

interface Asks {
  readonly models: readonly Target[];
  readonly sees: readonly Target[];
  readonly hears: readonly Target[];
}

const tiers: Readonly<Record<string, Asks>> = MODELS.tiers;
const tierNames = Object.keys(tiers);

/** Every model of the contract, once. */
const models: readonly Target[] = [
  ...new Map(
    Object.values(tiers).flatMap(({ models, sees, hears }) => [...models, ...sees, ...hears].map((m): [string, Target] => [nameOf(m), m])),
  ).values(),
];

/** How long what operators did is kept. */
const keptS = 400 * 86_400;
const shownOperations = 20;
const maxHoldS = 30 * 86_400;

/** What this isolate knows of every model, freshly looked up. */
export async function showProviders({ env, caller }: Call<Env>): Promise<Response> {
  forOperators(caller);
  await breakers.lookNow(models, tierNames, env.KV);
  return json({ ok: true, ...(await picture(env)) });
}

/** An operator's word: trip leaves models alone, reset has them asked again, order changes whom a tier asks first. */
export async function changeProviders(call: Call<Env>): Promise<Response> {
  const { env, caller } = call;
  forOperators(caller);
  const body = await call.json();
  const word: Word = { by: requiredText(body, "by", 200), why: requiredText(body, "why", 500), at: Date.now() };
  const action = requiredText(body, "action", 16);
  const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (act === undefined) {
    throw new Problem(400, "unknown_action", `The actions are ${Object.keys(actions).join(", ")}.`);
  }
  const run = act(body, word);
  await breakers.lookNow(models, tierNames, env.KV);
  const done = await kept(() => run(env.KV));
  await kept(() => record(env.KV, { ...word, action, what: done }));
  return noted(json({ ok: true, done, ...(await picture(env)) }), { action, what: done.join(", "), by: word.by, why: word.why });
}

/** The gateway checks the key; this checks the gateway. */
function forOperators({ admin }: { readonly admin: boolean }): void {
  if (!admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
}

/** Checks what an action is about, and gives what does it and says what was done. */
type Action = (body: JsonObject, word: Word) => (kv: KVNamespace) => Promise<string[]>;

const actions: Readonly<Record<string, Action>> = {
  trip(body, word) {
    const targets = meant(body);
    const until = word.at + 1000 * secondsOf(body);
    return (kv) => each(targets, async (target) => breakers.overrides.hold(target, { ...word, until }, kv));
  },
  reset(body, word) {
    const targets = meant(body, true);
    return (kv) =>
      each(targets, async (target) => {
        await breakers.overrides.hold(target, { ...word, until: 0 }, kv);
        await breakers.close(target, kv);
      });
  },
  order(body, word) {
    const tier = requiredText(body, "tier", 64);
    const providers = providersIn(body, tier);
    return async (kv) => {
      await breakers.overrides.order(tier, { ...word, providers }, kv);
      return [`${tier}: ${providers.length === 0 ? "as in the contract" : providers.join(", ")}`];
    };
  },
};

async function each(targets: readonly Target[], act: (target: Target) => Promise<void>): Promise<string[]> {
  await Promise.all(targets.map(act));
  return targets === models ? ["every model"] : targets.map(nameOf);
}

/** The models that are meant: all of a provider, or the one that is named; to reset, all there are where no provider is named. */
function meant(body: JsonObject, all = false): readonly Target[] {
  const model = optionalText(body, "model", 128);
  const provider = all && model === undefined ? optionalText(body, "provider", 64) : requiredText(body, "provider", 64);
  if (provider === undefined) {
    return models;
  }
  const found = models.filter((m) => m.provider === provider && (model === undefined || m.model === model));
  if (found.length === 0) {
    throw new Problem(400, "unknown_model", `The models are ${models.map(nameOf).join(", ")}.`);
  }
  return found;
}

function secondsOf({ seconds }: JsonObject): number {
  if (typeof seconds !== "number" || !Number.isInteger(seconds) || seconds < 1 || seconds > maxHoldS) {
    throw new Problem(400, "invalid_seconds", `seconds is not a whole number from 1 to ${maxHoldS}.`);
  }
  return seconds;
}

/** Every provider of the tier, each once; none for the contract's own order. To take one out is what trip is for. */
function providersIn({ providers }: JsonObject, tier: string): string[] {
  const own = Object.hasOwn(tiers, tier) ? new Set(tiers[tier]?.models.map((m) => m.provider)) : undefined;
  if (own === undefined) {
    throw new Problem(400, "unknown_tier", `The tiers are ${tierNames.join(", ")}.`);
  }
  const list = Array.isArray(providers) ? providers : undefined;
  const given = new Set<unknown>(list ?? []);
  if (list === undefined || given.size !== list.length || (given.size > 0 && (given.size !== own.size || list.some((p) => !own.has(p))))) {
    throw new Problem(400, "invalid_providers", `providers is each of ${[...own].join(", ")} once, or empty.`);
  }
  return list as string[];
}

/** KV takes one write a second to a key: what it does not take was not done, and the operator is told. */
async function kept<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw new Problem(503, "not_kept", "The store did not take it. Ask again.", { cause, headers: { "retry-after": "2" } });
  }
}

interface Operation extends Word {
  readonly action: string;
  readonly what: readonly string[];
}

async function record(kv: KVNamespace, operation: Operation): Promise<void> {
  console.warn(JSON.stringify({ worker: "orchestrator-svc", operation }));
  const name = key(KEYS.operation, { rev_ts: revTs(operation.at), id: uuidv7(operation.at) });
  await kv.put(name, JSON.stringify(operation), { expirationTtl: keptS });
}

async function operations(kv: KVNamespace): Promise<Operation[]> {
  const { keys } = await kv.list({ prefix: "operation:", limit: shownOperations });
  const found = await Promise.all(keys.map(({ name }) => kv.get<Operation>(name, "json")));
  return found.filter((o) => o !== null);
}

async function picture(env: Env): Promise<object> {
  const now = Date.now();
  const ready = providersOf(env);
  return {
    now_ms: now,
    tiers: tierNames.map((tier) => {
      const { models: own, sees, hears } = tiers[tier] as Asks;
      const sorted = (targets: readonly Target[]) => breakers.overrides.sorted(tier, targets);
      const override = breakers.overrides.orderOf(tier) ?? null;
      return { tier, order: sorted(own), sees: sorted(sees), hears: sorted(hears), contract: own, override };
    }),
    models: models.map((target) => ({ ...target, configured: Object.hasOwn(ready, target.provider), ...stateOf(target, now) })),
    operations: await operations(env.KV),
  };
}

function stateOf(target: Target, now: number): object {
  const { breaker, lookedAt } = breakers.known(target);
  const hold = breakers.overrides.held(target, now) ?? null;
  const own = breaker.openUntil === 0 ? "closed" : now < breaker.openUntil ? "open" : "half-open";
  return {
    state: hold === null ? own : "tripped",
    reason: breaker.reason,
    attempts: breaker.attempts,
    failures: breaker.failures,
    open_until_ms: breaker.openUntil,
    times_opened: breaker.opened,
    changed_ms: breaker.changedAt,
    looked_ms: lookedAt ?? 0,
    hold,
  };
}
