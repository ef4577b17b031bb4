import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { ALLOWANCES } from "../../shared/src/contract.gen";
import type { Allowance } from "../../shared/src/limits/limits";
import type { Env } from "./env.gen";
import type { Limiter } from "./limiter";

const { holdMs, rememberMs } = ALLOWANCES.keeping;
const allowance: Allowance = { rate: { count: 60, periodMs: 60_000, burst: 1000 }, micro: 1000 };
const slow: Allowance = { ...allowance, rate: { ...allowance.rate, burst: 2 } };
// Tomorrow at noon: no alarm goes before that, and what is held is settled on the same day, whenever the tests run.
const now = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 129_600_000;

const stub = (name: string) => (env as unknown as Env).LIMITS.getByName(name) as unknown as DurableObjectStub<Limiter>;
const wanted = (id: string, micro: number, weight = 1) => ({ id, micro, weight });

describe("a limiter", () => {
  it("holds no more than the budget of calls that come at once, and admits as many as there is room for", async () => {
    const limiter = stub("at-once");
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => limiter.admit(allowance, wanted(`r${i}`, 90), now)));
    expect(answers.filter(({ outcome }) => outcome === "admitted")).toHaveLength(11);
    expect(answers.filter(({ outcome }) => outcome === "budget")).toHaveLength(489);
  });

  it("spends the budget to the last micro-credit, and never more, when hundreds of calls begin and end in one another", async () => {
    const limiter = stub("interleaved");
    const call = async (i: number) => {
      for (let tries = 0; ; tries++) {
        const { outcome } = await limiter.admit(allowance, wanted(`r${i}.${tries}`, 10), now + tries);
        if (outcome === "admitted") {
          return (await limiter.settle(allowance, `r${i}.${tries}`, 5, now + tries)).micro;
        }
        const { held, left } = await limiter.show(allowance, now);
        if (held === 0 && left < 10) {
          return 0; // nothing will be given back any more
        }
      }
    };
    const spent = (await Promise.all(Array.from({ length: 300 }, (_, i) => call(i)))).reduce((sum, micro) => sum + micro, 0);
    const standing = await limiter.show(allowance, now);
    expect([spent, standing.spent, standing.held]).toEqual([995, 995, 0]); // of 5 that are left, no call that may cost 10 is admitted
  });

  it("takes neither the rate nor the budget of what the other refuses", async () => {
    const limiter = stub("neither");
    expect(await limiter.admit(slow, wanted("big", 1001, 2), now)).toMatchObject({ outcome: "budget", remaining: 2, micro: 1000 });
    expect(await limiter.admit(slow, wanted("heavy", 10, 3), now)).toMatchObject({ outcome: "rate", remaining: 2, micro: 1000 });
    expect(await limiter.admit(slow, wanted("both", 1000, 2), now)).toMatchObject({ outcome: "admitted", remaining: 0, micro: 0 });
  });

  it("knows after an eviction what was spent, held, closed, owed and set", async () => {
    const limiter = stub("evicted");
    await limiter.admit(slow, wanted("closed", 400), now);
    await limiter.settle(slow, "closed", 300, now);
    await limiter.admit(slow, wanted("open", 500), now);
    await limiter.set({ micro: 900, actor: "ops", reason: "test" });
    await evictDurableObject(limiter);
    expect(await limiter.admit(slow, wanted("more", 1), now)).toMatchObject({ outcome: "rate", retryMs: 1000, micro: 100 });
    expect(await limiter.admit(allowance, wanted("more", 101), now)).toMatchObject({ outcome: "budget", micro: 100 });
    expect(await limiter.admit(allowance, wanted("closed", 1), now)).toMatchObject({ outcome: "budget" });
    expect(await limiter.settle(slow, "closed", 999, now)).toEqual({ micro: 300, excess: 0 });
    expect(await limiter.settle(slow, "open", 0, now)).toEqual({ micro: 0, excess: 0 });
    await limiter.set(null);
    await evictDurableObject(limiter);
    expect(await limiter.admit(allowance, wanted("rest", 700), now)).toMatchObject({ outcome: "admitted", micro: 0 });
  });

  it("gives back what a call took that was never made, once, and nothing for one that it refused", async () => {
    const limiter = stub("cancelled");
    await limiter.admit(slow, wanted("gone", 600, 2), now);
    await limiter.cancel(slow, "gone", 2, now);
    await limiter.cancel(slow, "gone", 2, now);
    expect(await limiter.show(slow, now)).toMatchObject({ remaining: 2, held: 0, left: 1000 });
    await limiter.admit(slow, wanted("made", 600, 2), now);
    await limiter.cancel(slow, "never", 2, now);
    expect(await limiter.show(slow, now)).toMatchObject({ remaining: 0, held: 600 });
    // One that was cancelled before it was heard of is not held afterwards.
    expect(await limiter.admit(allowance, wanted("never", 1), now)).toMatchObject({ outcome: "budget" });
  });

  it("holds what is renewed, and lets go of what is not", async () => {
    const limiter = stub("renewed");
    await limiter.admit(allowance, wanted("going", 400), now);
    await limiter.admit(allowance, wanted("lost", 300), now);
    await limiter.renew("going", now + holdMs - 1);
    await limiter.renew("never", now + holdMs - 1);
    await evictDurableObject(limiter);
    expect(await limiter.show(allowance, now + holdMs)).toMatchObject({ held: 400, holds: 1 });
    await limiter.renew("lost", now + holdMs);
    expect(await limiter.show(allowance, now + 2 * holdMs - 1)).toMatchObject({ held: 0, holds: 0 });
  });

  it("writes what is settled with what is admitted next, or soon, and says it is settled when it is on disk", async () => {
    const limiter = stub("late");
    const onDisk = () =>
      runInDurableObject(limiter, (_, { storage }) => storage.sql.exec("SELECT id, excess FROM calls ORDER BY id").toArray());
    await Promise.all(["a", "b"].map((id) => limiter.admit(allowance, wanted(id, 100), now)));
    const settled = limiter.settle(allowance, "a", 60, now);
    const admitted = await limiter.admit(allowance, wanted("c", 840), now); // counts the settlement that is not written yet
    expect([admitted.outcome, await settled]).toEqual(["admitted", { micro: 60, excess: 0 }]);
    expect(await limiter.settle(allowance, "b", 50, now)).toEqual({ micro: 50, excess: 0 });
    expect(await onDisk()).toEqual([
      { id: "a", excess: 0 },
      { id: "b", excess: 0 },
      { id: "c", excess: null },
    ]);
    await evictDurableObject(limiter);
    expect(await limiter.show(allowance, now)).toMatchObject({ spent: 110, held: 840 });
  });

  it("counts an own limit until its time, and the contract's after it", async () => {
    const limiter = stub("own");
    await limiter.set({ micro: 10, untilMs: now + 1000, actor: "ops", reason: "test" });
    expect(await limiter.admit(allowance, wanted("a", 11), now)).toMatchObject({ outcome: "budget" });
    expect(await limiter.admit(allowance, wanted("a", 11), now + 1000)).toMatchObject({ outcome: "admitted" });
  });

  it("sets its alarm to a minute after what is first to expire, and not again for what expires later", async () => {
    const limiter = stub("set");
    await limiter.admit(allowance, wanted("first", 1), now);
    await limiter.admit(allowance, wanted("later", 1), now + 9000);
    expect(await runInDurableObject(limiter, (_, { storage }) => storage.getAlarm())).toBe(now + holdMs + 60_000);
  });

  it("takes off the disk what has expired when its alarm goes, and keeps what was spent", async () => {
    const limiter = stub("alarm");
    const today = Date.now();
    const past = today - holdMs - rememberMs - 1;
    await limiter.settle(allowance, "old", 100, past);
    await limiter.admit(allowance, wanted("lost", 600), past);
    await limiter.admit(allowance, wanted("open", 200), today);
    // The runtime may have been here first: what has expired is gone, whoever asked.
    await runInDurableObject(limiter, (object) => (object as Limiter).alarm());
    const left = await runInDurableObject(limiter, (_, { storage }) => storage.sql.exec("SELECT id FROM calls").toArray());
    expect(left).toEqual([{ id: "open" }]);
    expect((await limiter.show(allowance, today)).held).toBe(200);
  });

  it("goes on without the ledger when that does not answer, and is to look again", async () => {
    const limiter = stub("unseeded");
    const admitted = await limiter.admit(allowance, { ...wanted("r", 1000), account: "nobody@example.test" });
    expect(admitted.outcome).toBe("admitted");
    const [row] = await runInDurableObject(limiter, (_, { storage }) => storage.sql.exec("SELECT account, look_ms FROM ledger").toArray());
    expect(row).toEqual({ account: "nobody@example.test", look_ms: expect.any(Number) });
  });
});
