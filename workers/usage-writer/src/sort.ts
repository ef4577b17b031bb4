import type { Posted } from "../../shared/src/money/ledger";
import { UNREADABLE } from "../../shared/src/money/ledger";
import { USAGE_VERSION, type UsageEvent } from "../../shared/src/money/usage";

/** Outcomes that leave the money right: the event is in the journal, once. */
const settled: ReadonlySet<string> = new Set(["posted", "overage", "duplicate"]);

/** Outcomes that the ledger has kept for a person to look at, in the same transaction. */
const reviewed = /^(conflict|insufficient|unknown_account|not_an_event|invalid_[a-z_]+)$/;

/** What becomes of a message, by its event's outcome. */
export type Fate = "settled" | "reviewed" | "dead" | "later";

/** A word that this code does not know is of a newer ledger: the message is not given up for it. */
export function fateOf(outcome: string | undefined): Fate {
  if (outcome === undefined) {
    return "later";
  }
  if (settled.has(outcome)) {
    return "settled";
  }
  if (outcome === UNREADABLE) {
    return "dead";
  }
  return reviewed.test(outcome) ? "reviewed" : "later";
}

/** True for an event of a newer producer: it waits for a newer writer. Anything else goes to the ledger, which judges it. */
export function isNewer(body: unknown): boolean {
  const version = (body as { v?: unknown } | null)?.v;
  return typeof version === "number" && version > USAGE_VERSION;
}

export interface Sorted {
  /** Events that are new in the journal, as they were sent. */
  readonly fresh: UsageEvent[];
  /** Ids of events that the journal had: the feed shows them as it has them. */
  readonly known: string[];
}

/** What the feed needs to be told of a batch. */
export function sortForFeed(bodies: readonly unknown[], { outcomes }: Posted): Sorted {
  const fresh: UsageEvent[] = [];
  const known = new Set<string>();
  for (const [i, body] of bodies.entries()) {
    const event = body as UsageEvent;
    if (outcomes[i] === "duplicate") {
      known.add(event.id);
    } else if (outcomes[i] === "posted" || outcomes[i] === "overage") {
      fresh.push(event);
    }
  }
  return { fresh: fresh.filter(({ kind }) => kind === "usage"), known: [...known] };
}

/** How long a message waits before it is tried again: longer each time, and five minutes at most. */
export function retryDelay(attempts: number, firstS: number): number {
  return Math.min(firstS * 2 ** Math.min(attempts - 1, 10), 300);
}
