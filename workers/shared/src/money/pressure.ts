import { PRESSURE } from "../contract.gen";
import { KEYS, key } from "../keys";
import { Problem } from "../problem";

/** How far the writing of usage is behind, when it was last looked at. Times are milliseconds since 1970. */
export interface Reading {
  readonly at: number;
  /** Events that are not in the ledger. */
  readonly backlog: number;
  /** When the oldest of them was sent; null when there is none. */
  readonly oldest: number | null;
}

/** Looks at the queue and leaves what it sees where the gateway and the services read it. */
export async function publishPressure(queue: Queue, kv: KVNamespace, nowMs: number): Promise<void> {
  const { backlogCount, oldestMessageTimestamp } = await queue.metrics();
  const reading: Reading = { at: nowMs, backlog: backlogCount, oldest: oldestMessageTimestamp?.getTime() ?? null };
  await kv.put(pressureKey(), JSON.stringify(reading));
}

export function pressureKey(): string {
  return key(KEYS.pressure, { queue: PRESSURE.queue });
}

export function parseReading(text: string | null): Reading | undefined {
  try {
    const reading = JSON.parse(text ?? "null") as Partial<Reading> | null;
    const whole = Number.isFinite(reading?.at) && Number.isFinite(reading?.backlog);
    return whole ? { at: reading?.at as number, backlog: reading?.backlog as number, oldest: reading?.oldest ?? null } : undefined;
  } catch {
    return undefined;
  }
}

/** A reading that is too old says nothing: nobody is turned away for it. */
export function isTooMuch(reading: Reading | undefined, nowMs: number): boolean {
  if (reading === undefined || nowMs - reading.at > PRESSURE.maxStale * 1000) {
    return false;
  }
  return reading.backlog > PRESSURE.maxBacklog || (reading.oldest !== null && reading.at - reading.oldest > PRESSURE.maxLag * 1000);
}

/** How long an isolate goes by the reading it has. */
const holdMs = 5_000;

/** What one isolate knows of the pressure; a request reads KV for it at most every few seconds. */
export class Gauge {
  private reading: Reading | undefined;
  private readMs = Number.NEGATIVE_INFINITY;

  /** Turns a request away while the writing of usage is too far behind. What was used already is never asked here. */
  async relieve(kv: KVNamespace, nowMs: number): Promise<void> {
    if (nowMs - this.readMs >= holdMs || nowMs < this.readMs) {
      this.readMs = nowMs;
      this.reading = await kv.get(pressureKey()).then(parseReading, () => undefined);
    }
    if (isTooMuch(this.reading, nowMs)) {
      throw new Problem(429, "try_later", "Usage is being written late: work that can wait is turned away.", {
        headers: { "retry-after": String(PRESSURE.retryAfter) },
      });
    }
  }
}
