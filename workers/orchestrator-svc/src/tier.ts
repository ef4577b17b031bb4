import { type JsonObject, optionalText } from "../../shared/src/body";
import type { Caller } from "../../shared/src/caller";
import { MODELS, PROVIDERS } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Target } from "./breakers";

/** How many images a tier is shown in one question, and how large. */
export interface ImageBounds {
  readonly max: number;
  readonly eachBytes: number;
  readonly allBytes: number;
  /** The most that one comes to, at any model of the tier that sees. */
  readonly tokens: number;
}

/** How much audio a tier has heard for one question: pieces, and seconds and bytes of all of them. */
export interface AudioBounds {
  readonly max: number;
  readonly seconds: number;
  readonly bytes: number;
}

/** A tier before it is known whether a question has images: with them it is put to other models. */
export interface Offer extends Tier {
  readonly sees: readonly Target[];
  readonly images: ImageBounds;
}

/** What a caller's tier comes to: models in order, and how much they may read and write. */
export interface Tier {
  readonly name: string;
  /** Those that were asked for by name; they are the first of models. */
  readonly pinned?: readonly Target[];
  readonly models: readonly Target[];
  /** Those that write audio down before a model is asked, in order. */
  readonly hears: readonly Target[];
  readonly audio: AudioBounds;
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

const tiers: Readonly<Record<string, Omit<Offer, "name">>> = MODELS.tiers;
const aliases: Readonly<Record<string, string>> = MODELS.aliases;

/** The tier of a name, an alias, or nothing. */
export function tierOf(name: string | null, caller: Caller): Offer {
  const tier = known(nameIn(name));
  if (tier === undefined) {
    throw new Problem(400, "unknown_tier", `The tiers are ${Object.keys(tiers).join(", ")}.`);
  }
  return allowed(tier, caller);
}

function nameIn(name: string | null): string {
  const spelt = name === null || name.trim() === "" ? MODELS.defaultTier : name.trim().toLowerCase();
  return Object.hasOwn(aliases, spelt) ? (aliases[spelt] as string) : spelt;
}

/**
 * The tier that a model of OpenAI's format stands for: a tier's name, auto, or a model that some tier has, for words or else for images,
 * which is then tried first. Of several such tiers it is the one that the header says, else one that the caller may ask for.
 */
export function tierOfModel(model: string, header: string | null, caller: Caller): Offer {
  const spelt = model.toLowerCase();
  if (spelt === "auto") {
    return tierOf(header, caller);
  }
  if (known(spelt) !== undefined || Object.hasOwn(aliases, spelt)) {
    return tierOf(spelt, caller);
  }
  const meant = (target: Target) => target.model === model;
  const all = Object.entries(tiers).map(([name, tier]): Offer => ({ ...tier, name }));
  const ofWords = all.filter(({ models }) => models.some(meant));
  const having = ofWords.length > 0 ? ofWords : all.filter(({ sees }) => sees.some(meant));
  const wanted = nameIn(header);
  const found = having.find(({ name }) => name === wanted) ?? having.find((tier) => mayAsk(tier, caller)) ?? having[0];
  if (found !== undefined) {
    return allowed(pinning(found, meant), caller);
  }
  throw new Problem(404, "model_not_found", "model is a tier, auto, or a model that a tier has.");
}

/** The tier with what the body prefers, a provider, a model or both, tried first; the others stay behind it, for when it does not answer. */
export function preferring(tier: Offer, body: JsonObject): Offer {
  const provider = optionalText(body, "provider", maxNameChars);
  const model = optionalText(body, "model", maxNameChars);
  if (provider !== undefined && !Object.hasOwn(PROVIDERS, provider)) {
    throw new Problem(400, "unknown_provider", `The providers are ${Object.keys(PROVIDERS).join(", ")}.`);
  }
  const meant = (target: Target) => (provider ?? target.provider) === target.provider && (model ?? target.model) === target.model;
  if (![...tier.models, ...tier.sees].some(meant)) {
    throw notInTier(tier, model !== undefined && !Object.values(tiers).some(({ models, sees }) => [...models, ...sees].some(meant)));
  }
  return provider === undefined && model === undefined ? { ...tier, pinned: [] } : pinning(tier, meant);
}

function pinning(tier: Offer, meant: (target: Target) => boolean): Offer {
  const firstOf = (targets: readonly Target[]) => [...targets.filter(meant), ...targets.filter((target) => !meant(target))];
  const [models, sees] = [firstOf(tier.models), firstOf(tier.sees)];
  return { ...tier, models, sees, pinned: [...models, ...sees].filter(meant) };
}

/**
 * The tier for a question with images or without. Who asks for one model is told when it is none for this: another would answer, and the
 * caller would not know why. An image is not sent to two models at once.
 */
export function facing({ sees, images: _, ...tier }: Offer, withImages: boolean): Tier {
  const models = withImages ? sees : tier.models;
  const asked = tier.pinned ?? [];
  const pinned = models.filter((target) => asked.includes(target));
  if (asked.length > 0 && pinned.length === 0) {
    const detail = `This tier has ${spelt(models)}.`;
    throw withImages ? new Problem(400, "model_does_not_see", detail) : new Problem(400, "model_only_sees", detail);
  }
  const { hedgeMs, ...rest } = tier;
  return { ...rest, models, pinned, ...(withImages || hedgeMs === undefined ? {} : { hedgeMs }) };
}

const maxNameChars = 128;

function spelt(targets: readonly Target[]): string {
  return targets.map(({ provider, model }) => `${model} of ${provider}`).join(", ");
}

function notInTier({ models }: Tier, nowhere: boolean): Problem {
  const offered = `This tier has ${spelt(models)}.`;
  return nowhere ? new Problem(400, "unknown_model", offered) : new Problem(403, "model_not_allowed", offered);
}

function known(name: string): Offer | undefined {
  const tier = Object.hasOwn(tiers, name) ? tiers[name] : undefined;
  return tier === undefined ? undefined : { ...tier, name };
}

function mayAsk({ guests }: Tier, { role, admin }: Caller): boolean {
  return guests || role !== "guest" || admin;
}

function allowed(tier: Offer, caller: Caller): Offer {
  if (!mayAsk(tier, caller)) {
    throw new Problem(403, "tier_not_allowed", "This tier takes an account.");
  }
  return tier;
}
