import { SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { CALLER_HEADER, type Caller, encodeCaller } from "../../shared/src/caller";
import { ALLOWANCES } from "../../shared/src/contract.gen";
import { admit } from "../../shared/src/limits/admission";
import { operate } from "../../shared/src/testing/limits";
import type { Env } from "./env.gen";
import { mostOf } from "./most";

const { LIMITS } = env as unknown as Env;

function user(id: string): Caller {
  return { id, role: "user", tenant: null, admin: false };
}

function guest(id: string): Caller {
  return { id: `guest:${id}`, role: "guest", tenant: null, admin: false };
}

/** Asks as a caller; what the model doubles do is said by the input. */
function ask(caller: Caller, input: object | string = "hello", headers: Record<string, string> = {}): Promise<Response> {
  return SELF.fetch("https://orchestrator.test/api/si/ask", {
    method: "POST",
    headers: { [CALLER_HEADER]: encodeCaller(caller), ...headers },
    body: JSON.stringify({ skill: "general", input: typeof input === "string" ? input : JSON.stringify(input) }),
  });
}

/** What is left of a caller's rate and budget once nothing of it is held. */
async function settledOf(id: string) {
  for (;;) {
    const standing = await operate(LIMITS, `caller=${id}`);
    if (standing.held === 0) {
      return standing;
    }
    await scheduler.wait(10); // asking again at once, the runtime would never come to its timers
  }
}

const down = { groq: "500", cfai: "500", openai: "500" };

describe("a caller's limits", () => {
  it("are on a good answer, in both kinds of field, and the budget has what the answer cost", async () => {
    const response = await ask(user("good@example.test"));
    await response.text();
    const tokens = Number(response.headers.get("x-tokens-in")) + Number(response.headers.get("x-tokens-out"));
    expect(response.headers.get("x-ratelimit-remaining")).toBe("99");
    expect(response.headers.get("ratelimit")).toBe('"caller";r=99;t=1');
    expect(response.headers.get("ratelimit-policy")).toBe('"caller";q=600;w=60');
    expect(await settledOf("good@example.test")).toMatchObject({ spent: tokens * 50, held: 0 });
  });

  it("turn away who asks too often, say for how long, and ask no model", async () => {
    await operate(LIMITS, "", { caller: "often@example.test", rate: { count: 1, period_ms: 3_600_000, burst: 2 } });
    const answers = await Promise.all([1, 2, 3, 4].map(() => ask(user("often@example.test"))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429]);
    const refused = answers.find(({ status }) => status === 429) as Response;
    expect(await refused.json()).toMatchObject({ error: "rate_limited" });
    expect(refused.headers.get("retry-after")).toBe("3600");
    expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
  });

  it("weigh a question by its tier", async () => {
    await operate(LIMITS, "", { caller: "heavy@example.test", rate: { count: 1, period_ms: 3_600_000, burst: 100 } });
    await (await ask(user("heavy@example.test"), "hello", { "x-intelligence-tier": "super" })).text();
    expect((await settledOf("heavy@example.test")).remaining).toBe(95);
  });

  it("turn away what the day's budget has no room for, until the day is over", async () => {
    await operate(LIMITS, "", { caller: "poor@example.test", credits_a_day: 0.001 });
    const refused = await ask(user("poor@example.test"));
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ error: "budget_exhausted" });
    // More than a whole budget is never admitted, and no wait is named.
    expect(refused.headers.has("retry-after")).toBe(false);
    await operate(LIMITS, "", { caller: "poor@example.test", credits_a_day: 0.06 });
    await (await ask(user("poor@example.test"))).text();
    await settledOf("poor@example.test");
    const statuses = await Promise.all([1, 2, 3].map(async () => (await ask(user("poor@example.test"))).status));
    // One as long as it may be, and one that is cut to what that leaves.
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(2);
  });

  it("are given back where no model answered, whole or as a stream", async () => {
    for (const headers of [{}, { accept: "text/event-stream" }]) {
      const response = await ask(user("unanswered@example.test"), down, headers);
      await response.text();
      expect(response.status).toBe(503);
    }
    expect(await settledOf("unanswered@example.test")).toMatchObject({ spent: 0, held: 0 });
  });

  it("count a stream that was read, and one whose caller went away", async () => {
    const read = await ask(user("stream@example.test"), "hello", { accept: "text/event-stream" });
    await read.text();
    const { spent } = await settledOf("stream@example.test");
    expect(spent).toBeGreaterThan(0);
    const left = await ask(user("stream@example.test"), "hello again", { accept: "text/event-stream" });
    const reader = (left.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel();
    expect((await settledOf("stream@example.test")).spent).toBeGreaterThan(spent);
  });

  it("count an answer once that is given again under its key, and the asking every time", async () => {
    const headers = { "idempotency-key": "once" };
    await (await ask(user("again@example.test"), "hello", headers)).text();
    const first = await settledOf("again@example.test");
    let again = await ask(user("again@example.test"), "hello", headers);
    while (again.status === 409) {
      again = await ask(user("again@example.test"), "hello", headers); // the first is still being kept
    }
    expect(again.headers.get("x-cache")).toBe("HIT");
    expect(again.headers.has("x-ratelimit-remaining")).toBe(true);
    expect((await settledOf("again@example.test")).spent).toBe(first.spent);
  });

  it("are a guest's own, and all guests' together", async () => {
    await operate(LIMITS, "", { tenant: "guests", rate: { count: 1, period_ms: 3_600_000, burst: 1 } });
    const answers = await Promise.all(["a", "b", "c"].map((name) => ask(guest(name))));
    await operate(LIMITS, "", { tenant: "guests", clear: true });
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 429, 429]);
    const refused = answers.find(({ status }) => status === 429) as Response;
    expect(refused.headers.get("ratelimit-policy")).toContain('"tenant"');
  });

  it("give back to a caller what its tenant refused", async () => {
    await operate(LIMITS, "", { tenant: "small", credits_a_day: 0.000001 });
    const caller: Caller = { ...user("member@example.test"), tenant: "small" };
    expect((await ask(caller)).status).toBe(429);
    while ((await operate(LIMITS, "caller=member@example.test")).remaining < ALLOWANCES.roles.user.rate.burst) {} // in the background
    expect(await settledOf("member@example.test")).toMatchObject({ spent: 0, held: 0, remaining: 100 });
  });

  it("are none for the admin key, and nobody is admitted without an identity", async () => {
    const response = await ask({ ...user("poor@example.test"), admin: true });
    await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.has("ratelimit")).toBe(false);
    expect((await ask({ id: null, role: null, tenant: null, admin: false })).status).toBeGreaterThanOrEqual(400);
  });
});

/** Admits a question that asks a limiter which answers with this. */
function asked(caller: Caller, answer: (what: string) => Response | Promise<Response>) {
  const limiter = { fetch: async (url: string) => answer(url.slice(url.indexOf("_") + 1)) };
  return admit(limiter as unknown as Fetcher, caller, { weight: 1, micro: 1, waitUntil: (promise) => void promise });
}

describe("a limiter that is down", () => {
  const down = () => new Response("down", { status: 500 });

  it("lets an account go on, which the ledger charges, and says nothing of limits that it does not know", async () => {
    expect(ALLOWANCES.roles.user.whenDown).toBe("admit");
    const admitted = await asked(user("ada@example.test"), down);
    expect(admitted.headers).toEqual({});
  });

  it("stops a guest, for whom nobody would pay", async () => {
    const down = { status: 503, code: "limiter_unavailable", headers: { "retry-after": "5" } };
    await expect(asked(guest("g"), () => new Response("down", { status: 500 }))).rejects.toMatchObject(down);
    await expect(asked(guest("g"), () => Response.json([null, null]))).rejects.toMatchObject(down);
  });
});

describe("an answer that takes longer than a hold", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is held until it is over, and not after that", async () => {
    const heard: string[] = [];
    const { settle } = await asked(user("slow@example.test"), (what) => {
      heard.push(what);
      return Response.json([{ outcome: "admitted", rate: ALLOWANCES.roles.user.rate, remaining: 1, resetMs: 1, micro: 1 }]);
    });
    await vi.advanceTimersByTimeAsync(2 * ALLOWANCES.keeping.holdMs);
    expect(heard).toEqual(["admit", ...Array.from({ length: 6 }, () => "renew")]);
    await settle(1);
    await vi.advanceTimersByTimeAsync(2 * ALLOWANCES.keeping.holdMs);
    expect(heard.slice(7)).toEqual(["settle"]);
  });
});

describe("the most that a question may cost", () => {
  it.each([
    ["hello", 5 + 16 + 100],
    ["häß", 5 + 16 + 100],
    ["日本語", 9 + 16 + 100],
  ])("takes %s for as many tokens as it has bytes", (content, tokens) => {
    expect(mostOf({ messages: [{ role: "user", content }], maxTokens: 100 })).toBe(tokens * 50);
  });
});
