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

  constructor(settings: BreakerSettings & { readonly pollMs: number }, clock: () => number) {
    this.settings = settings;
    this.clock = clock;
  }

  /** Learns what others know of these models. Only an isolate's first request waits for it. */
  async look(targets: readonly Target[], sharing: Sharing): Promise<void> {
    const now = this.clock();
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

  /** Whether a model may be asked now. A half-open breaker lets one through; whoever is let through must say how it went. */
  admit(target: Target): boolean {
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
    return Math.min(...targets.map((t) => Math.max(this.of(t).openUntil, this.of(t).probeUntil)));
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
      const shared = parseShared(await kv.get(key(KEYS.breaker, { ...target }), "json"));
      if (shared !== undefined) {
        this.states.set(name(target), learn(this.of(target), shared));
      }
    } catch (error) {
      // Without the others' knowledge an isolate still has its own.
      console.error(JSON.stringify({ worker: "orchestrator-svc", what: "breaker not read", breaker: name(target), cause: String(error) }));
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

function name({ provider, model }: Target): string {
  return `${provider}:${model}`;
}
