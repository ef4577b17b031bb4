import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { Caller } from "../../shared/src/caller";
import { creditsOf } from "../../shared/src/money/micro";
import type { UsageEvent } from "../../shared/src/money/usage";
import { callerHeaders, guest } from "../../shared/src/testing/callers";
import { operate, waitForNothing } from "../../shared/src/testing/limits";
import { readChat, readSi } from "./asked";
import type { Env } from "./env.gen";
import { meter } from "./known";
import { maxAgeOf } from "./prompt-cache";
import worker from "./worker";

const bound = env as unknown as Env;
meter.gatherMs = 0;
waitForNothing();
const sentence = "One two three four five";
const sse = { accept: "text/event-stream" };
const caller = (id: string, more: Partial<Caller> = {}) => callerHeaders({ id, role: "user", ...more });

interface Given {
  readonly with?: Record<string, string>;
  readonly body?: object;
  readonly path?: string;
  readonly bindings?: Partial<Env>;
  readonly read?: (response: Response) => Promise<unknown>;
}

/** Asks for a summary, and gives the answer once all that comes after it has been done. */
async function ask(headers: Record<string, string>, given: Given = {}) {
  const sent: UsageEvent[] = [];
  const USAGE = {
    sendBatch: async (batch: { body: UsageEvent }[]) => void sent.push(...batch.map(({ body }) => body)),
  } as unknown as Queue;
  const request = new Request(`https://service${given.path ?? "/api/si/ask"}`, {
    method: "POST",
    headers: { ...headers, ...given.with },
    body: JSON.stringify({ skill: "summarize", input: "a long text", ...given.body }),
  });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(request as never, { ...bound, USAGE, ...given.bindings }, ctx)) as Response;
  const text = await (given.read ?? ((r) => r.text()))(response);
  await waitOnExecutionContext(ctx);
  return { status: response.status, cache: response.headers.get("x-cache"), headers: response.headers, text: String(text), sent };
}

const knownKeys = async () => (await bound.KV.list({ prefix: "known:" })).keys.map(({ name }) => name);

/** KV with one method of its own. */
function kvWith(method: "get" | "put", does: (name: string) => Promise<unknown>): KVNamespace {
  return new Proxy(bound.KV, {
    get(target, member) {
      const value = Reflect.get(target, member) as (...given: unknown[]) => unknown;
      const own = (name: string, ...given: unknown[]) => (name.startsWith("known:") ? does(name) : value.call(target, name, ...given));
      return member === method ? own : value.bind(target);
    },
  });
}

describe("the same question of the same account", () => {
  it.each([
    ["whole", {}, {}],
    ["as a stream", sse, sse],
    ["first whole and then as a stream", {}, sse],
    ["first as a stream and then whole", sse, {}],
  ])("is answered once by a model, %s, and then for nothing", async (name, first, then) => {
    const ada = caller(`ada ${name}@example.test`);
    const asked = await ask(ada, { with: first });
    expect([asked.cache, asked.headers.get("age"), asked.sent.length]).toEqual(["MISS", null, 1]);
    const again = await ask(ada, { with: then });
    expect([again.status, again.cache, again.sent]).toEqual([200, "HIT", []]);
    expect(Number(again.headers.get("age"))).toBeLessThan(60);
    expect(again.text).toContain(sentence);
    expect(again.text).toMatch(/"credits_used":0,.*"attempts":\[\]/);
    expect([again.headers.get("x-provider"), again.headers.get("x-model")]).toEqual(["groq", "llama-3.1-8b-instant"]);
    expect(again.headers.get("x-credits-used")).toBe(then === sse ? null : "0.000");
  });

  it("keeps no name and no word of it in a key, and no longer than the contract says", async () => {
    await ask(caller("keys@example.test"));
    const { keys } = await bound.KV.list({ prefix: "known:" });
    for (const { name, expiration } of keys) {
      expect(name).toMatch(/^known:[0-9a-f]{64}$/);
      expect((expiration ?? Number.POSITIVE_INFINITY) - Date.now() / 1000).toBeLessThanOrEqual(3600);
    }
    expect(keys.length).toBeGreaterThan(0);
  });

  it.each<[string, (id: string) => Record<string, string>, Given]>([
    ["another account", (id) => caller(`other ${id}`), {}],
    ["the same account in a tenant", (id) => caller(id, { tenant: "acme" }), {}],
    ["another tier", caller, { with: { "x-intelligence-tier": "advanced" } }],
    ["another skill", caller, { body: { skill: "translate" } }],
    ["other words", caller, { body: { input: "another text" } }],
    ["a system prompt of its own", caller, { body: { system: "in French" } }],
    ["another length", caller, { body: { max_tokens: 99 } }],
    ["another temperature", caller, { body: { temperature: 0 } }],
    ["another model first", caller, { body: { provider: "cfai" } }],
  ])("is not answered to %s", async (name, who, given) => {
    const id = `${name}@example.test`;
    await ask(caller(id));
    expect((await ask(caller(id))).cache).toBe("HIT");
    expect((await ask(who(id), given)).cache).toBe("MISS");
    expect((await ask(who(id), given)).cache).toBe("HIT");
  });

  it("is always a model's to answer for guests, and nothing of it is kept", async () => {
    const before = await knownKeys();
    const opted = { with: { "cache-control": "max-age=60" } };
    expect([(await ask(guest, opted)).cache, (await ask(guest, opted)).cache]).toEqual(["MISS", "MISS"]);
    expect(await knownKeys()).toEqual(before);
  });

  it("is a caller's to refuse: no-store neither reads nor keeps, no-cache asks a model and keeps its answer in the place of the older one", async () => {
    const eve = caller("eve@example.test");
    const before = await knownKeys();
    expect((await ask(eve, { with: { "cache-control": "no-store" } })).cache).toBe("MISS");
    expect(await knownKeys()).toEqual(before);
    await ask(eve);
    const [name] = (await knownKeys()).filter((key) => !before.includes(key)) as [string];
    const kept = (await bound.KV.get(name)) as string;
    await bound.KV.put(name, kept.replace(sentence, "Old words"));
    expect((await ask(eve)).text).toContain("Old words");
    expect((await ask(eve, { with: { "cache-control": "no-store" } })).text).toContain(sentence);
    const anew = await ask(eve, { with: { "cache-control": "no-cache" } });
    expect([anew.cache, anew.sent.length]).toEqual(["MISS", 1]);
    expect(anew.text).toContain(sentence);
    const after = await ask(eve);
    expect([after.cache, after.text.includes(sentence)]).toEqual(["HIT", true]);
  });

  it("is answered by a model when the answer is older than the caller takes", async () => {
    const old = caller("old@example.test");
    const before = await knownKeys();
    await ask(old);
    const [name] = (await knownKeys()).filter((key) => !before.includes(key)) as [string];
    const kept = (await bound.KV.get(name, "json")) as { madeAtMs: number };
    await bound.KV.put(name, JSON.stringify({ ...kept, madeAtMs: kept.madeAtMs - 100_000 }));
    const taken = await ask(old);
    expect([taken.cache, Number(taken.headers.get("age")) >= 100]).toEqual(["HIT", true]);
    expect((await ask(old, { with: { "cache-control": "max-age=99" } })).cache).toBe("MISS");
  });

  it("is known at every door when it is asked for", async () => {
    const chat = {
      path: "/v1/chat/completions",
      with: { "cache-control": "max-age=600" },
      body: { model: "human", messages: [{ role: "user", content: "hi" }] },
    };
    const ada = caller("chat@example.test");
    expect((await ask(ada, chat)).cache).toBe("MISS");
    const hit = await ask(ada, chat);
    expect([hit.cache, hit.sent, JSON.parse(hit.text).choices[0].message.content]).toEqual(["HIT", [], sentence]);
    expect((await ask(ada, { ...chat, with: {} })).cache).toBe("MISS");
  });

  it("is kept under an Idempotency-Key too, and charged under none", async () => {
    const ada = caller("keyed@example.test");
    await ask(ada);
    const keyed = { with: { "idempotency-key": "known" } };
    const [first, again] = [await ask(ada, keyed), await ask(ada, keyed)];
    expect([first.cache, again.cache, first.sent, again.sent]).toEqual(["HIT", "HIT", [], []]);
    expect(again.headers.get("x-credits-used")).toBe("0.000");
    for (const name of await knownKeys()) {
      await bound.KV.delete(name);
    }
    expect((await ask(ada, keyed)).cache).toBe("HIT");
  });

  it("counts in the rate, costs nothing of the budget, and is answered where the budget has no room for a model", async () => {
    const shown = () => operate(bound.LIMITS, "caller=poor@example.test");
    const poor = caller("poor@example.test");
    await ask(poor);
    expect((await ask(poor)).cache).toBe("HIT");
    const { spent, held, remaining } = await shown();
    expect(held).toBe(0);
    const limits = { credits_a_day: creditsOf(spent), rate: { count: 1, period_ms: 3_600_000, burst: remaining } };
    await operate(bound.LIMITS, "", { caller: "poor@example.test", ...limits });
    const before = await shown();
    expect([before.left, (await ask(poor, { body: { input: "other words" } })).status]).toEqual([0, 429]);
    expect((await ask(poor)).cache).toBe("HIT");
    const after = await shown();
    expect(after).toMatchObject({ spent, held: 0, remaining: before.remaining - 1 });
  });
});

describe("an answer that is not what another asks for", () => {
  const leave = async (response: Response) => {
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
  };
  it.each<[string, Given]>([
    ["was cut, and nobody said so", { body: { max_tokens: 5 } }],
    ["no model gave", { body: { input: { groq: "500", cfai: "500", openai: "500" } } }],
    ["its caller left", { with: sse, body: { input: { groq: "stall" } }, read: leave }],
  ])("is not kept: it %s", async (name, given) => {
    const ada = caller(`${name}@example.test`);
    const before = await knownKeys();
    await ask(ada, given);
    expect(await knownKeys()).toEqual(before);
  });
});

describe("a store that is slow or down", () => {
  it.each<[string, KVNamespace]>([
    ["does not answer", kvWith("get", () => new Promise(() => {}))],
    ["cannot be read", kvWith("get", () => Promise.reject(new Error("down")))],
    ["cannot be written", kvWith("put", () => Promise.reject(new Error("429")))],
  ])("fails no question: it %s", async (name, KV) => {
    const { status, cache, sent } = await ask(caller(`${name}@example.test`), { bindings: { KV } });
    expect([status, cache, sent.length]).toEqual([200, "MISS", 1]);
  });
});

describe("how old an answer may be", () => {
  const who = { id: "a@b.test", role: "user", tenant: null, admin: false } as const;
  const summary = readSi({ skill: "summarize", input: "x" }, null, who);
  const varied = readSi({ skill: "summarize", input: "x", temperature: 0.7 }, null, who);
  const chat = readChat({ model: "human", messages: [{ role: "user", content: "x" }] }, null, who);
  it.each([
    ["of a skill that says so", null, summary, 3600],
    ["of one that does not", null, chat, undefined],
    ["of variety", null, varied, undefined],
    ["of variety, by the caller's word", "max-age=60", varied, 60],
    ["by the caller's word", "max-age=60", chat, 60],
    ["beyond what is kept", "max-age=999999", chat, 3600],
    ["among other words, in any case", ' No-Transform , MAX-AGE="5"', chat, 5],
    ["of words that say nothing of it", "no-transform", summary, 3600],
    ["no age at all", "max-age=0", summary, 0],
    ["no age that can be read", "max-age=soon", summary, 0],
    ["no-cache", "no-cache", chat, 0],
    ["no-store, whatever else is said", "max-age=60, no-store", summary, undefined],
  ])("%s: %j", async (_, header, asked, want) => {
    expect(maxAgeOf(header, await asked)).toBe(want);
  });
});
