import { type JsonObject, optionalText } from "../../shared/src/body";
import type { Caller } from "../../shared/src/caller";
import { MODELS, PROVIDERS } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Target } from "./breakers";

/** What a caller's tier comes to: models in order, and how much they may read and write. */
export interface Tier {
  readonly name: string;
  /** Those that were asked for by name; they are the first of models. */
  readonly pinned?: readonly Target[];
  readonly models: readonly Target[];
  readonly guests: boolean;
  /** An answer is cut to what is left of a budget, but to no less. */
  readonly minTokens: number;
  readonly maxTokens: number;
  readonly maxInputChars: number;
  /** What a question takes of its caller's rate. */
  readonly weight: number;
  /** Of silence, after which a second model is asked beside the first. */
  readonly hedgeMs?: number;
}

const tiers: Readonly<Record<string, Omit<Tier, "name">>> = MODELS.tiers;
const aliases: Readonly<Record<string, string>> = MODELS.aliases;

/** The tier of a name, an alias, or nothing. */
export function tierOf(name: string | null, caller: Caller): Tier {
  const spelt = name === null || name.trim() === "" ? MODELS.defaultTier : name.trim().toLowerCase();
  const tier = known(Object.hasOwn(aliases, spelt) ? (aliases[spelt] as string) : spelt);
  if (tier === undefined) {
    throw new Problem(400, "unknown_tier", `The tiers are ${Object.keys(tiers).join(", ")}.`);
  }
  return allowed(tier, caller);
}

/** The tier that a model of OpenAI's format stands for: a tier's name, auto, or a model that some tier has, which is then tried first. */
export function tierOfModel(model: string, header: string | null, caller: Caller): Tier {
  const spelt = model.toLowerCase();
  if (spelt === "auto") {
    return tierOf(header, caller);
  }
  if (known(spelt) !== undefined || Object.hasOwn(aliases, spelt)) {
    return tierOf(spelt, caller);
  }
  for (const [name, tier] of Object.entries(tiers)) {
    const first = tier.models.find((target) => target.model === model);
    if (first !== undefined) {
      return allowed({ ...tier, name, pinned: [first], models: [first, ...tier.models.filter((target) => target !== first)] }, caller);
    }
  }
  throw new Problem(404, "model_not_found", "model is a tier, auto, or a model that a tier has.");
}

/** The tier with what the body prefers, a provider, a model or both, tried first; the others stay behind it, for when it does not answer. */
export function preferring(tier: Tier, body: JsonObject): Tier {
  const provider = optionalText(body, "provider", maxNameChars);
  const model = optionalText(body, "model", maxNameChars);
  if (provider !== undefined && !Object.hasOwn(PROVIDERS, provider)) {
    throw new Problem(400, "unknown_provider", `The providers are ${Object.keys(PROVIDERS).join(", ")}.`);
  }
  const meant = (target: Target) => (provider ?? target.provider) === target.provider && (model ?? target.model) === target.model;
  const first = tier.models.filter(meant);
  if (first.length === 0) {
    throw notInTier(tier, model !== undefined && !Object.values(tiers).some(({ models }) => models.some(meant)));
  }
  const pinned = provider === undefined && model === undefined ? [] : first;
  return { ...tier, pinned, models: [...first, ...tier.models.filter((target) => !meant(target))] };
}

const maxNameChars = 128;

function notInTier({ models }: Tier, nowhere: boolean): Problem {
  const offered = `This tier has ${models.map(({ provider, model }) => `${model} of ${provider}`).join(", ")}.`;
  return nowhere ? new Problem(400, "unknown_model", offered) : new Problem(403, "model_not_allowed", offered);
}

function known(name: string): Tier | undefined {
  const tier = Object.hasOwn(tiers, name) ? tiers[name] : undefined;
  return tier === undefined ? undefined : { ...tier, name };
}

function allowed(tier: Tier, caller: Caller): Tier {
  if (caller.role === "guest" && !caller.admin && !tier.guests) {
    throw new Problem(403, "tier_not_allowed", "This tier takes an account.");
  }
  return tier;
}
