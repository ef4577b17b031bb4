import { type Failure, failureOf } from "./failure";

/** One model that was asked and has not said anything yet. */
export interface Lane<T> {
  /** The first that it says. */
  readonly first: Promise<T>;
  /** It was told to stop, for another was faster: nothing is known of it. */
  outrun(): void;
  failed(failure: Failure): void;
}

/** When a second model is asked beside the first, and what may be spent on it. */
export interface Hedge {
  readonly afterMs: number;
  readonly budget: HedgeBudget;
}

/**
 * How many questions an isolate may ask twice: a share of them, and no more than were saved up. Without it a provider that becomes slow
 * would have every question asked twice, just when nobody has capacity to spare.
 */
export class HedgeBudget {
  private readonly share: number;
  private readonly burst: number;
  private saved = 1;

  constructor({ share, burst }: { readonly share: number; readonly burst: number }) {
    this.share = share;
    this.burst = burst;
  }

  /** A question that may be hedged. */
  earn(): void {
    this.saved = Math.min(this.burst, this.saved + this.share);
  }

  /** Takes one hedge, if there is one: what is short of one by no more than a rounding is one. */
  spend(): boolean {
    const enough = this.saved >= 1 - 1e-9;
    this.saved -= enough ? 1 : 0;
    return enough;
  }
}

interface Said<T, L> {
  readonly lane: L;
  readonly said: T;
}

type Outcome<T, L> = Said<T, L> | { readonly lane: L; readonly failure: Failure };

/**
 * Waits for the first; when it says nothing for a while, another is asked as well, once. Whichever says something first is given, and the
 * other is told that it was outrun. Those that failed have been told so; undefined when that is all of them.
 */
export async function hedged<T, L extends Lane<T>>(
  first: L,
  { afterMs, budget }: Hedge,
  another: () => L | undefined,
): Promise<Said<T, L> | undefined> {
  budget.earn();
  const running = new Map([[first, outcomeOf<T, L>(first)]]);
  let outcome = await unlessSilent(afterMs, running.get(first) as Promise<Outcome<T, L>>);
  const second = outcome === undefined && budget.spend() ? another() : undefined;
  if (second !== undefined) {
    running.set(second, outcomeOf<T, L>(second));
  }
  for (;;) {
    outcome ??= await Promise.race(running.values());
    running.delete(outcome.lane);
    if ("said" in outcome) {
      for (const lane of running.keys()) {
        lane.outrun();
      }
      return outcome;
    }
    outcome.lane.failed(outcome.failure);
    if (running.size === 0) {
      return undefined;
    }
    outcome = undefined;
  }
}

function outcomeOf<T, L extends Lane<T>>(lane: L): Promise<Outcome<T, L>> {
  return lane.first.then(
    (said) => ({ lane, said }),
    (error) => ({ lane, failure: failureOf(error) }),
  );
}

/** What a promise that never rejects comes to, or undefined after a while. */
function unlessSilent<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), milliseconds);
    promise.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
