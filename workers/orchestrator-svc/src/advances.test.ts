import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { Caller } from "../../shared/src/caller";
import { ALLOWANCES } from "../../shared/src/contract.gen";
import { admit } from "../../shared/src/limits/admission";
import { operate } from "../../shared/src/testing/limits";
import { randomOf } from "../../shared/src/testing/random";
import type { Env } from "./env.gen";

const { LIMITS } = env as unknown as Env;

const user = (id: string, tenant: string | null = null): Caller => ({ id: `${id}@often.test`, role: "user", tenant, admin: false });

/** The limiter, with what it is asked; where it is cut off, what it did is not heard of. */
function listening(cut: (nth: number) => boolean = () => false) {
  const heard: string[] = [];
  const fetch = async (url: string, init: RequestInit) => {
    heard.push(url.slice(url.indexOf("_") + 1));
    const nth = heard.length;
    const response = await LIMITS.fetch(url, init);
    return cut(nth) ? new Response("cut off", { status: 502 }) : response;
  };
  return { heard, limiter: { fetch } as unknown as Fetcher };
}

/** Asks for a call; undefined where it is refused. */
async function ask(limiter: Fetcher, caller: Caller, micro: number, weight = 1) {
  try {
    return await admit(limiter, caller, { weight, micro, waitUntil: (promise) => void promise });
  } catch {
    return;
  }
}

/** What is spent once nothing is held: what was taken in advance is given back within a second. */
async function settled(query: string) {
  for (;;) {
    const standing = await operate(LIMITS, query);
    if (standing.held === 0) {
      return standing;
    }
    await scheduler.wait(10); // asking again at once, the runtime would never come to its timers
  }
}

describe("who asks often", () => {
  it("is decided about without its limiter, and spends to the micro-credit what calls cost", async () => {
    const { heard, limiter } = listening();
    await operate(LIMITS, "", { caller: user("fast").id, rate: { count: 1000, period_ms: 1000, burst: 10_000 } });
    for (let n = 0; n < 300; n++) {
      const admitted = await ask(limiter, user("fast", "swift"), 5_000);
      expect(admitted?.headers["x-ratelimit-limit"]).toBe("10000");
      expect(Number(admitted?.headers["x-ratelimit-remaining"])).toBeGreaterThan(9_600);
      await admitted?.settle(600);
    }
    expect(heard.length).toBeLessThan(40);
    expect(await settled(`caller=${user("fast").id}`)).toMatchObject({ spent: 300 * 600, held: 0 });
    expect(await settled("tenant=swift")).toMatchObject({ spent: 300 * 600, held: 0 });
  });

  it("is admitted as long as the budget has room for a call, and never beyond, though words are lost", async () => {
    const random = randomOf(11);
    const { limiter } = listening((nth) => nth % 5 === 0);
    const credits = 0.4;
    // A guest: what cannot be decided is refused.
    const guest: Caller = { id: "guest:poor", role: "guest", tenant: null, admin: false };
    await operate(LIMITS, "", { caller: guest.id, credits_a_day: credits, rate: { count: 1000, period_ms: 1000, burst: 10_000 } });
    let spent = 0;
    const call = async () => {
      for (let refused = 0; refused < 3; ) {
        const admitted = await ask(limiter, guest, 5_000);
        const cost = 1 + random(5_000);
        refused = admitted === undefined ? refused + 1 : 0;
        spent += admitted === undefined ? 0 : cost;
        await admitted?.settle(cost);
      }
    };
    await Promise.all([1, 2, 3, 4].map(() => call()));
    const standing = await settled(`caller=${guest.id}`);
    expect(spent).toBeLessThanOrEqual(credits * 1e6);
    expect(standing.spent).toBe(spent);
  });

  it("is refused at the rate's end, and not before", async () => {
    await operate(LIMITS, "", { caller: user("many").id, rate: { count: 1, period_ms: 3_600_000, burst: 50 } });
    const { limiter } = listening();
    let admitted = 0;
    for (let call = await ask(limiter, user("many"), 0); call !== undefined; call = await ask(limiter, user("many"), 0)) {
      admitted++;
      // While a word is on its way, what it gives back is not known to be.
      expect(Math.abs(Number(call.headers["x-ratelimit-remaining"]) - (50 - admitted))).toBeLessThanOrEqual(6);
    }
    expect(admitted).toBe(50);
  });

  it("holds nothing when its last call ends while its advance is being given back", async () => {
    const caller = user("leaving");
    let open: Awaited<ReturnType<typeof ask>>;
    let words = 0;
    const limiter = {
      fetch: async (url: string, init: RequestInit) => {
        const response = await LIMITS.fetch(url, init);
        if (url.endsWith("_advance") && ++words === 2) {
          await open?.settle(600); // the limiter has heard that it is open
        }
        return response;
      },
    } as unknown as Fetcher;
    for (const _ of [1, 2, 3]) {
      await open?.settle(600);
      open = await ask(limiter, caller, 5_000);
    }
    expect(words).toBe(1);
    expect(await settled(`caller=${caller.id}`)).toMatchObject({ spent: 1_800, held: 0 });
  });

  it("holds nothing of what its tenant refuses", async () => {
    const caller = user("member", "narrow");
    await operate(LIMITS, "", { tenant: "narrow", credits_a_day: 0.05 });
    const { limiter } = listening();
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(limiter, caller, 5_000)));
    expect(answers.filter((one) => one !== undefined).length).toBeLessThanOrEqual(10);
    await Promise.all(answers.map((one) => one?.settle(0)));
    expect(await settled(`caller=${caller.id}`)).toMatchObject({ spent: 0, held: 0 });
    expect(ALLOWANCES.keeping.advanceMs).toBeLessThanOrEqual(1_000);
  });
});
