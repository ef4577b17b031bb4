import { describe, expect, it } from "vitest";

import type { UsageEvent } from "../../shared/src/money/usage";
import { Meter } from "./meter";

/** A queue that keeps which events it was sent together. */
function newQueue() {
  const sent: string[][] = [];
  const sendBatch = async (batch: Iterable<{ body: UsageEvent }>) => void sent.push([...batch].map(({ body }) => body.id));
  return { sent, queue: { sendBatch } as unknown as Queue };
}

const event = (id: string | number) => ({ id: String(id), amount: 7 }) as UsageEvent;

describe("charges of a moment", () => {
  it("go to the queue together, sent by whoever came first", async () => {
    const { sent, queue } = newQueue();
    const meter = new Meter(20);
    const first = meter.charge(queue, event("a"));
    await Promise.all([meter.charge(queue, event("b")), meter.charge(queue, event("c"))]);
    expect(sent).toEqual([]);
    await first;
    expect(sent).toEqual([["a", "b", "c"]]);
    await meter.charge(queue, event("d"));
    expect(sent).toEqual([["a", "b", "c"], ["d"]]);
  });

  it("go at once when they are as many as a message may have, and each goes once", async () => {
    const { sent, queue } = newQueue();
    const meter = new Meter(20);
    await Promise.all(Array.from({ length: 150 }, (_, n) => meter.charge(queue, event(n))));
    expect(sent.map((batch) => batch.length)).toEqual([64, 64, 22]);
    expect(new Set(sent.flat()).size).toBe(150);
  });

  it("are sent by another where the runtime ended the request that was to send them", async () => {
    const { sent, queue } = newQueue();
    const meter = new Meter(60_000);
    void meter.charge(queue, event("a")); // it never comes back
    await meter.charge(queue, event("b"));
    expect(sent).toEqual([]);
    meter.gatherMs = -1; // as if that long had passed
    await meter.charge(queue, event("c"));
    expect(sent).toEqual([["a", "b", "c"]]);
  });
});
