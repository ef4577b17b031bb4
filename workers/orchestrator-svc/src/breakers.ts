import { KEYS, key } from "../../shared/src/keys";
import {
  abandoned,
  admit,
  type Breaker,
  type BreakerSettings,
  closed,
  failed,
  learn,
  parseShared,
  type Shared,
  share,
  succeeded,
} from "./breaker";
import type { Failure } from "./failure";
import { nameOf as name, Overrides } from "./overrides";

/** One model of one provider. */
export interface Target {
  readonly provider: string;
  readonly model: string;
}

/** Where breakers are told of, and how to go on telling after the answer. */
export interface Sharing {
  readonly kv: KVNamespace;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** How long the first request of an isolate waits for what others know; then it goes by what it sees itself. */
const firstLookMs = 250;
/** How long a record outlives what it says, so that the time to stay open grows over many failures. */
const memoryS = 3600;

/**
 * The breakers of one isolate. They hold no data of any request: which models are well is the same for everyone. What one isolate learns
 * it writes to KV, and each looks there every few seconds, so a breaker that one opened is open everywhere after KV's visibility.
 */
export class Breakers {
  private readonly settings: BreakerSettings & { readonly pollMs: number };
  private readonly clock: () => number;
  private readonly states = new Map<string, Breaker>();
  private readonly lookedAt = new Map<string, number>();
  /** What operators have said: it goes before what is seen. */
  readonly overrides = new Overrides();

  constructor(settings: BreakerSettings & { readonly pollMs: number }, clock: () => number) {
    this.settings = settings;
    this.clock = clock;
  }

  /** Learns what others know of these models. Only an isolate's first request waits for it. */
  async look(targets: readonly Target[], sharing: Sharing, tier?: string): Promise<void> {
    const now = this.clock();
    const order = this.lookAtOrder(tier, sharing, now);
    await Promise.all([this.lookAtModels(targets, sharing, now), order]);
  }

  private async lookAtOrder(tier: string | undefined, { kv, waitUntil }: Sharing, now: number): Promise<void> {
    const at = tier === undefined ? now : this.lookedAt.get(`tier ${tier}`);
    if (tier === undefined || now - (at ?? Number.NEGATIVE_INFINITY) < this.settings.pollMs) {
      return;
    }
    this.lookedAt.set(`tier ${tier}`, now);
    const reading = this.overrides.readOrder(tier, kv).catch((error) => unread(`order of ${tier}`, error));
    waitUntil(reading);
    if (at === undefined) {
      await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, firstLookMs))]);
    }
  }

  private async lookAtModels(targets: readonly Target[], sharing: Sharing, now: number): Promise<void> {
    const due = targets.filter((t) => now - (this.lookedAt.get(name(t)) ?? Number.NEGATIVE_INFINITY) >= this.settings.pollMs);
    const first = due.some((t) => !this.lookedAt.has(name(t)));
    for (const t of due) {
      this.lookedAt.set(name(t), now);
    }
    if (due.length === 0) {
      return;
    }
    const reading = Promise.all(due.map((t) => this.read(t, sharing.kv)));
    sharing.waitUntil(reading);
    if (first) {
      await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, firstLookMs))]);
    }
  }

  /** Learns it now, for somebody who wants to know how things are. */
  async lookNow(targets: readonly Target[], tiers: readonly string[], kv: KVNamespace): Promise<void> {
    const now = this.clock();
    await Promise.all([...targets.map((t) => this.read(t, kv)), ...tiers.map((tier) => this.overrides.readOrder(tier, kv))]);
    for (const seen of [...targets.map(name), ...tiers.map((tier) => `tier ${tier}`)]) {
      this.lookedAt.set(seen, now);
    }
  }

  /** What is known of a model, and when it was last looked up. */
  known(target: Target): { readonly breaker: Breaker; readonly lookedAt: number | undefined } {
    return { breaker: this.of(target), lookedAt: this.lookedAt.get(name(target)) };
  }

  /** Closes a breaker by an operator's word, here and wherever it is read. */
  async close(target: Target, kv: KVNamespace): Promise<void> {
    const shut = { ...closed, changedAt: Math.max(this.clock(), this.of(target).changedAt + 1) };
    await kv.put(key(KEYS.breaker, { ...target }), JSON.stringify(share(shut)), { expirationTtl: memoryS });
    this.states.set(name(target), shut);
  }

  /** Whether a model may be asked now. A half-open breaker lets one through; whoever is let through must say how it went. */
  admit(target: Target): boolean {
    if (this.overrides.held(target, this.clock()) !== undefined) {
      return false;
    }
    const { allowed, breaker } = admit(this.of(target), this.clock(), this.settings);
    this.states.set(name(target), breaker);
    return allowed;
  }

  succeeded(target: Target, sharing: Sharing): void {
    this.change(target, succeeded(this.of(target), this.clock(), this.settings), sharing);
  }

  failed(target: Target, failure: Failure, sharing: Sharing): void {
    this.change(target, failed(this.of(target), failure, this.clock(), this.settings), sharing);
  }

  abandoned(target: Target): void {
    this.states.set(name(target), abandoned(this.of(target)));
  }

  /** When the first of these models may be asked again. */
  soonest(targets: readonly Target[]): number {
    const held = (t: Target) => this.overrides.held(t, this.clock())?.until ?? 0;
    return Math.min(...targets.map((t) => Math.max(this.of(t).openUntil, this.of(t).probeUntil, held(t))));
  }

  private of(target: Target): Breaker {
    return this.states.get(name(target)) ?? closed;
  }

  private change(target: Target, next: Breaker, { kv, waitUntil }: Sharing): void {
    const before = this.of(target);
    this.states.set(name(target), next);
    if (next.changedAt === before.changedAt) {
      return;
    }
    console.warn(JSON.stringify({ worker: "orchestrator-svc", breaker: name(target), open: next.openUntil > 0, reason: next.reason }));
    waitUntil(write(kv, target, share(next)));
  }

  private async read(target: Target, kv: KVNamespace): Promise<void> {
    try {
      const [found] = await Promise.all([kv.get(key(KEYS.breaker, { ...target }), "json"), this.overrides.readHold(target, kv)]);
      const shared = parseShared(found);
      if (shared !== undefined) {
        this.states.set(name(target), learn(this.of(target), shared));
      }
    } catch (error) {
      // Without the others' knowledge an isolate still has its own.
      unread(name(target), error);
    }
  }
}

async function write(kv: KVNamespace, target: Target, shared: Shared): Promise<void> {
  try {
    await kv.put(key(KEYS.breaker, { ...target }), JSON.stringify(shared), { expirationTtl: memoryS });
  } catch (error) {
    console.error(JSON.stringify({ worker: "orchestrator-svc", what: "breaker not written", breaker: name(target), cause: String(error) }));
  }
}

function unread(breaker: string, error: unknown): void {
  console.error(JSON.stringify({ worker: "orchestrator-svc", what: "breaker not read", breaker, cause: String(error) }));
}
