import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ALLOWANCES } from "../../shared/src/contract.gen";
import { askedOf, type Subject, shardsOf } from "../../shared/src/limits/subject";
import { randomOf } from "../../shared/src/testing/random";
import type { Env } from "./env.gen";
import type { Limiter } from "./limiter";
import { standingOf } from "./operator";

const bindings = env as unknown as Env;
const stub = (name: string) => bindings.LIMITS.getByName(name) as unknown as DurableObjectStub<Limiter>;
const rate = { count: 1_000_000, periodMs: 1000, burst: 1_000_000 };

function tenant(name: string, micro: number, shards = 4): Subject {
  return { name: `tenant:${name}`, allowance: { ...ALLOWANCES.tenant, rate, micro, shards } };
}

/** One call, which is admitted or not, and costs up to what it held. */
async function call(subject: Subject, id: string, micro: number, cost: number): Promise<number | undefined> {
  const { name, allowance } = askedOf(subject);
  const { outcome } = await stub(name).admit(allowance, { id, weight: 1, micro });
  return outcome === "admitted" ? (await stub(name).settle(allowance, id, cost)).micro : undefined;
}

describe("a tenant that several objects keep", () => {
  it("spends its whole budget and never more, though its objects begin again on the way, and is shown as one", async () => {
    const subject = tenant("big", 5_000);
    const random = randomOf(7);
    const names = [subject.name, ...shardsOf(subject).map(({ name }) => name)];
    let spent = 0;
    for (let n = 0; 5_000 - spent >= 90; n++) {
      const calls = Array.from({ length: 20 }, (_, i) => call(subject, `${n}.${i}`, 90, 1 + random(90)));
      spent += (await Promise.all(calls)).reduce<number>((sum, micro) => sum + (micro ?? 0), 0);
      if (random(4) === 0) {
        await evictDurableObject(stub(names[random(names.length)] as string));
      }
    }
    expect(spent).toBeLessThanOrEqual(5_000);
    expect(await standingOf(bindings, subject)).toMatchObject({ spent, held: 0, holds: 0, left: 5_000 - spent });
  });

  it("shows what its objects hold, and lends what one does not need to another", async () => {
    const subject = tenant("lent", 1000, 2);
    const [a, b] = shardsOf(subject) as [Subject, Subject];
    expect((await stub(a.name).admit(a.allowance, { id: "a", weight: 1, micro: 500 })).outcome).toBe("admitted");
    expect((await stub(b.name).admit(b.allowance, { id: "b", weight: 1, micro: 400 })).outcome).toBe("admitted");
    await stub(a.name).settle(a.allowance, "a", 100);
    expect(await standingOf(bindings, subject)).toMatchObject({ spent: 100, held: 400, holds: 1, left: 500 });
    expect((await stub(b.name).admit(b.allowance, { id: "c", weight: 1, micro: 500 })).outcome).toBe("admitted");
    expect((await stub(a.name).admit(a.allowance, { id: "d", weight: 1, micro: 1 })).outcome).toBe("budget");
  });

  it("has a share of the rate in each, and what an operator gives it alone", async () => {
    const subject = tenant("slow", 1000, 2);
    await stub(subject.name).set({ micro: 10, rate: { count: 1, periodMs: 3_600_000, burst: 4 }, actor: "test", reason: "test" });
    const [a] = shardsOf(subject) as [Subject];
    const ask = async (id: string, micro: number) => (await stub(a.name).admit(a.allowance, { id, weight: 1, micro })).outcome;
    expect([await ask("x", 11), await ask("a", 4), await ask("b", 4), await ask("c", 1)]).toEqual([
      "budget",
      "admitted",
      "admitted",
      "rate",
    ]);
  });
});
