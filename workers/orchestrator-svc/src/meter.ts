import type { UsageEvent } from "../../shared/src/money/usage";
import { charge } from "./charge";

/** Cloudflare's queues take 100 messages and 256,000 bytes at once; an event has under 2,000. */
const most = 64;

/**
 * Gathers the charges of one isolate, so that a message to the queue, its commit and its consumer's turn are shared by the questions of a
 * moment. Whoever comes first waits, in what its request does after its answer, and sends for all; the others' requests are over. What
 * is gathered is lost with an isolate that dies within the moment: the callers have their answers and keep their credits.
 */
export class Meter {
  /** How long a charge may wait for others, in milliseconds. */
  gatherMs: number;
  private events: UsageEvent[] = [];
  private since = 0;

  constructor(gatherMs: number) {
    this.gatherMs = gatherMs;
  }

  /** Takes one charge. The promise of whoever sends ends when the queue has all that it sends, or the log. */
  async charge(queue: Queue, event: UsageEvent): Promise<void> {
    this.events.push(event);
    if (this.events.length === 1) {
      this.since = Date.now();
      await scheduler.wait(this.gatherMs);
    } else if (this.events.length < most && !this.isLate()) {
      return;
    }
    if (this.events.length > 0) {
      await charge(queue, this.events.splice(0));
    }
  }

  /** Whoever was to send should have done so: the runtime ended its request, and the next one sends instead. */
  private isLate(): boolean {
    return Date.now() - this.since > 2 * this.gatherMs;
  }
}
