import { Problem } from "../../shared/src/problem";
import type { Breakers, Sharing, Target } from "./breakers";
import { Failure, type FailureKind } from "./failure";
import type { Hedge, Lane } from "./hedge";
import type { Provider } from "./provider";
import type { Usage } from "./wire";

/** One attempt as it is told and recorded; "left" is one whose caller went away, "outrun" one that another was faster than. */
export interface Attempt extends Target {
  readonly outcome: "answered" | "left" | "outrun" | FailureKind;
  readonly ms: number;
}

export interface Answer extends Target, Usage {
  readonly text: string;
  readonly finish: string;
  readonly attempts: readonly Attempt[];
  /** Of audio that was heard for it, in milliseconds. */
  readonly audioMs?: number;
  /** Of one that was kept when the same was asked before: when. It was paid for then. */
  readonly madeAtMs?: number;
}

export interface RelayTimes {
  readonly firstTokenMs: number;
  readonly answerMs: number;
  readonly gapMs: number;
  readonly overallMs: number;
}

/** What one request needs to find a model that answers. */
export interface Relay<P = Provider> {
  /** In the order in which they are tried, unless operators want another for the tier. */
  readonly targets: readonly Target[];
  readonly tier?: string;
  /** The targets that stay the first, whatever the order. */
  readonly pinned?: readonly Target[] | undefined;
  readonly providers: Readonly<Partial<Record<string, P>>>;
  readonly breakers: Breakers;
  readonly sharing: Sharing;
  readonly times: RelayTimes;
  /** Undefined: nobody is asked before the one before has failed. */
  readonly hedge?: Hedge | undefined;
}

/** The way of one request along the models: whose turn it is, and what came of the turns before. */
export class Journey<P = Provider> {
  readonly attempts: Attempt[] = [];
  private readonly relay: Relay<P>;
  private readonly ready: readonly Target[];
  private readonly deadline: number;
  private next = 0;

  constructor(relay: Relay<P>) {
    this.relay = relay;
    const { breakers, providers, tier, targets, pinned } = relay;
    this.ready = breakers.overrides.sorted(tier, targets, pinned).filter(({ provider }) => providers[provider] !== undefined);
    this.deadline = Date.now() + relay.times.overallMs;
  }

  /** The next model that may be asked, with its turn's time; undefined when none is left, or no time. */
  turn(patienceMs: number, bounded: boolean): Turn<P> | undefined {
    while (this.next < this.ready.length) {
      const left = bounded ? this.deadline - Date.now() : patienceMs;
      if (left <= 0) {
        return undefined;
      }
      const target = this.ready[this.next++] as Target;
      if (this.relay.breakers.admit(target)) {
        return new Turn(this.relay, this.attempts, target, Math.min(patienceMs, left));
      }
    }
    return undefined;
  }

  /** Why nobody answered, for the caller. */
  problem(): Problem {
    if (this.ready.length === 0) {
      return new Problem(503, "ai_unbound", "No model provider is configured.");
    }
    const kinds = this.attempts.map(({ outcome }) => outcome);
    if (kinds.length === 0) {
      const seconds = Math.ceil((this.relay.breakers.soonest(this.ready) - Date.now()) / 1000);
      return unavailable("Every model is left alone for a while, because it failed.", Math.max(1, seconds));
    }
    if (kinds.every((kind) => kind === "rejected")) {
      return new Problem(400, "input_rejected", "No model takes this input.");
    }
    if (Date.now() >= this.deadline) {
      return new Problem(504, "models_timeout", "No model answered in time.", { headers: { "retry-after": "5" } });
    }
    return unavailable(this.attempts.map(({ provider, outcome }) => `${provider}: ${outcome}`).join(", "), 5);
  }
}

function unavailable(detail: string, retryAfterS: number): Problem {
  return new Problem(503, "models_unavailable", detail, { headers: { "retry-after": String(retryAfterS) } });
}

/** One model's turn. It is told exactly once how it went. */
export class Turn<P = Provider> {
  readonly target: Target;
  readonly provider: P;
  readonly ms: number;
  private readonly relay: Relay<P>;
  private readonly attempts: Attempt[];
  private readonly started = Date.now();
  private told = false;

  constructor(relay: Relay<P>, attempts: Attempt[], target: Target, ms: number) {
    this.relay = relay;
    this.attempts = attempts;
    this.target = target;
    this.provider = relay.providers[target.provider] as P;
    this.ms = ms;
  }

  answered(): void {
    this.tell("answered");
    this.relay.breakers.succeeded(this.target, this.relay.sharing);
  }

  /** A stream has come to its end: it answered, unless there is no text at all. */
  ended(text: string): void {
    if (text === "") {
      throw new Failure("empty", "the answer says nothing");
    }
    this.answered();
  }

  failed(failure: Failure): void {
    this.tell(failure.kind);
    this.relay.breakers.failed(this.target, failure, this.relay.sharing);
    console.warn(JSON.stringify({ worker: "orchestrator-svc", ...this.attempts.at(-1), failure: failure.message }));
  }

  /** The caller went away: nothing is known of the model. */
  left(): void {
    this.unheard("left");
  }

  /** Another was faster: nothing is known of this one. */
  outrun(): void {
    this.unheard("outrun");
  }

  private unheard(outcome: "left" | "outrun"): void {
    if (!this.told) {
      this.tell(outcome);
      this.relay.breakers.abandoned(this.target);
    }
  }

  private tell(outcome: Attempt["outcome"]): void {
    this.told = true;
    this.attempts.push({ ...this.target, outcome, ms: Date.now() - this.started });
  }
}

/** What becomes of a turn beside which another is taken. */
export function endings(turn: Turn, controller: AbortController): Pick<Lane<unknown>, "outrun" | "failed"> {
  return {
    outrun() {
      turn.outrun();
      controller.abort();
    },
    failed: (failure) => turn.failed(failure),
  };
}
