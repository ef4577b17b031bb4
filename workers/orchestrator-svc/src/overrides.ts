import { KEYS, key } from "../../shared/src/keys";
import type { Target } from "./breakers";

/** Who changed something, why, and when. */
export interface Word {
  readonly by: string;
  readonly why: string;
  readonly at: number;
}

/** An operator's word that a model is left alone until then; one that is over, or 0, holds nothing. */
export interface Hold extends Word {
  readonly until: number;
}

/** An operator's word on the order of a tier's providers; an empty one gives the contract's back. */
export interface Order extends Word {
  readonly providers: readonly string[];
}

/** How long a hold is told of after it ended: long enough that nobody still believes an older one. */
const memoryS = 3600;

/**
 * What operators have said of providers, as one isolate knows it. Words are never deleted, and the later one wins: KV may show an older
 * word, or none, for as long as its visibility, and neither makes an isolate forget a newer one.
 */
export class Overrides {
  private readonly holds = new Map<string, Hold>();
  private readonly orders = new Map<string, Order>();

  /** The hold on a model, if there is one now. */
  held(target: Target, now: number): Hold | undefined {
    const hold = this.holds.get(nameOf(target));
    return hold !== undefined && hold.until > now ? hold : undefined;
  }

  orderOf(tier: string): Order | undefined {
    const order = this.orders.get(tier);
    return order === undefined || order.providers.length === 0 ? undefined : order;
  }

  /** A tier's models as operators want them tried. Those that were asked for by name stay the first. */
  sorted(tier: string | undefined, targets: readonly Target[], pinned: readonly Target[] = []): readonly Target[] {
    const providers = tier === undefined ? undefined : this.orderOf(tier)?.providers;
    if (providers === undefined) {
      return targets;
    }
    return targets.toSorted((a, b) => rank(a) - rank(b));

    /** One that the order does not know, because the contract changed after it was given, comes last. */
    function rank(t: Target): number {
      const at = (providers as readonly string[]).indexOf(t.provider);
      return pinned.includes(t) ? -1 : at < 0 ? targets.length : at;
    }
  }

  takeHold(target: Target, hold: Hold): void {
    later(this.holds, nameOf(target), hold);
  }

  takeOrder(tier: string, order: Order): void {
    later(this.orders, tier, order);
  }

  async readHold(target: Target, kv: KVNamespace): Promise<void> {
    const hold = parseHold(await kv.get(key(KEYS.hold, { ...target }), "json"));
    if (hold !== undefined) {
      this.takeHold(target, hold);
    }
  }

  async readOrder(tier: string, kv: KVNamespace): Promise<void> {
    const order = parseOrder(await kv.get(key(KEYS.order, { tier }), "json"));
    if (order !== undefined) {
      this.takeOrder(tier, order);
    }
  }

  async hold(target: Target, hold: Hold, kv: KVNamespace): Promise<void> {
    const seconds = Math.max(0, Math.ceil((hold.until - hold.at) / 1000)) + memoryS;
    await kv.put(key(KEYS.hold, { ...target }), JSON.stringify(hold), { expirationTtl: seconds });
    this.takeHold(target, hold);
  }

  async order(tier: string, order: Order, kv: KVNamespace): Promise<void> {
    await kv.put(key(KEYS.order, { tier }), JSON.stringify(order));
    this.takeOrder(tier, order);
  }
}

export function nameOf({ provider, model }: Target): string {
  return `${provider}:${model}`;
}

function later<W extends Word>(words: Map<string, W>, name: string, word: W): void {
  if (word.at >= (words.get(name)?.at ?? 0)) {
    words.set(name, word);
  }
}

/** Reads a hold, or undefined for anything else: it is stored where people write by hand too. */
export function parseHold(value: unknown): Hold | undefined {
  const { until, ...word } = (value ?? {}) as Partial<Hold>;
  return isTime(until) && isWord(word) ? ({ until, ...word } as Hold) : undefined;
}

export function parseOrder(value: unknown): Order | undefined {
  const { providers, ...word } = (value ?? {}) as Partial<Order>;
  return Array.isArray(providers) && providers.every((p) => typeof p === "string") && isWord(word)
    ? ({ providers, ...word } as Order)
    : undefined;
}

function isWord({ by, why, at }: Partial<Word>): boolean {
  return typeof by === "string" && typeof why === "string" && isTime(at);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
