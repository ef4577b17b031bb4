import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { Budget } from "./budget";

const budget: Budget = { micro: 1000, windowMs: 1e13, holdMs: 60_000, rememberMs: 3_600_000 };
const rate = { count: 60, periodMs: 60_000, burst: 2 };
const now = Date.now();

describe("a limiter", () => {
  it("holds no more than the budget of calls that come at once", async () => {
    const limiter = env.LIMITER.getByName("at-once");
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => limiter.reserve(budget, `r${i}`, 90, now)));
    expect(answers.filter(({ outcome }) => outcome === "held")).toHaveLength(11);
  });

  it("knows after an eviction what was spent, held, closed and owed", async () => {
    const limiter = env.LIMITER.getByName("evicted");
    await limiter.reserve(budget, "closed", 400, now);
    await limiter.settle(budget, "closed", 300, now);
    await limiter.reserve(budget, "open", 500, now);
    await limiter.take(rate, 2, now);
    await evictDurableObject(limiter);
    expect(await limiter.take(rate, 1, now)).toMatchObject({ admitted: false, retryMs: 1000 });
    expect(await limiter.reserve(budget, "more", 201, now)).toMatchObject({
      outcome: "refused",
      remaining: 200,
      retryMs: expect.any(Number),
    });
    expect(await limiter.reserve(budget, "open", 500, now)).toMatchObject({ outcome: "held", remaining: 200 });
    expect(await limiter.reserve(budget, "closed", 1, now)).toMatchObject({ outcome: "closed" });
    expect(await limiter.settle(budget, "closed", 999, now)).toEqual({ micro: 300, excess: 0 });
    expect(await limiter.settle(budget, "open", 0, now)).toEqual({ micro: 0, excess: 0 });
    await evictDurableObject(limiter);
    expect(await limiter.reserve(budget, "rest", 700, now)).toMatchObject({ outcome: "held", remaining: 0 });
  });

  it("sets its alarm to what is first to expire", async () => {
    const limiter = env.LIMITER.getByName("set");
    await limiter.reserve(budget, "late", 1, now + 5000);
    await limiter.reserve(budget, "early", 1, now);
    await limiter.reserve(budget, "later", 1, now + 9000);
    expect(await runInDurableObject(limiter, (_, { storage }) => storage.getAlarm())).toBe(now + budget.holdMs);
  });

  it("takes off the disk what has expired when its alarm goes, and keeps what was spent", async () => {
    const limiter = env.LIMITER.getByName("alarm");
    const past = now - 120_000;
    await limiter.settle({ ...budget, rememberMs: 1 }, "old", 100, past);
    await limiter.reserve(budget, "lost", 600, past);
    await limiter.reserve(budget, "open", 200, now);
    // The runtime may have been here first: what has expired is gone, whoever asked.
    await runInDurableObject(limiter, (object) => object.alarm());
    const left = await runInDurableObject(limiter, (_, { storage }) => [
      storage.sql.exec("SELECT id FROM holds UNION ALL SELECT id FROM closed").toArray(),
      storage.sql.exec("SELECT micro FROM spent").toArray(),
    ]);
    expect(left).toEqual([[{ id: "open" }], [{ micro: 100 }]]);
    expect(await limiter.reserve(budget, "more", 800, now)).toMatchObject({ outcome: "refused", remaining: 700 });
  });
});
