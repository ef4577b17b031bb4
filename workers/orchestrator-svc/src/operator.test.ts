import { env, SELF } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { MODELS } from "../../shared/src/contract.gen";
import { admin, user } from "../../shared/src/testing/callers";
import { Breakers, type Sharing } from "./breakers";
import type { Env } from "./env.gen";
import { Failure } from "./failure";

const kv = (env as unknown as Env).KV;
const path = "https://service/api/admin/providers";
const groq = { provider: "groq", model: "llama-3.1-8b-instant" };
const word = { by: "ada", why: "test" };

interface Shown {
  readonly error?: string;
  readonly done?: string[];
  readonly tiers: {
    tier: string;
    order: { provider: string }[];
    sees: { provider: string }[];
    hears: { provider: string }[];
    override: object | null;
  }[];
  readonly models: { provider: string; model: string; state: string; reason: string | null; hold: { by: string; until: number } | null }[];
  readonly operations: { action: string; by: string; why: string; what: string[] }[];
}

async function show(): Promise<Shown> {
  return (await SELF.fetch(path, { headers: admin() })).json();
}

async function tell(body: object, headers = admin()): Promise<{ status: number; shown: Shown }> {
  const response = await SELF.fetch(path, { method: "POST", headers, body: JSON.stringify({ ...word, ...body }) });
  return { status: response.status, shown: await response.json() };
}

async function answeredBy(headers: Record<string, string> = {}, input: object = {}, more: object = {}): Promise<string | null> {
  const caller = {
    "x-cog-caller": JSON.stringify({ id: "a@example.test", role: "user", tenant: null, admin: false }),
    "x-request-id": "r1",
  };
  const body = JSON.stringify({ skill: "general", input, ...more });
  const response = await SELF.fetch("https://service/api/si/ask", { method: "POST", headers: { ...caller, ...headers }, body });
  await response.text();
  return response.headers.get("x-provider");
}

const stateOf = ({ models }: Shown, target = groq) => models.find((m) => m.provider === target.provider && m.model === target.model);
const orderOf = ({ tiers }: Shown, tier: string) => tiers.find((t) => t.tier === tier)?.order.map(({ provider }) => provider);

beforeEach(async () => {
  await tell({ action: "reset" });
  for (const tier of Object.keys(MODELS.tiers)) {
    await tell({ action: "order", tier, providers: [] });
  }
  for (const { name } of (await kv.list({ prefix: "operation:" })).keys) {
    await kv.delete(name);
  }
});

describe("an operator", () => {
  it("is the admin key's, whatever the gateway lets in", async () => {
    expect((await SELF.fetch(path, { headers: user("ada@example.test") })).status).toBe(403);
    expect((await tell({ action: "reset", provider: "groq" }, user("ada@example.test"))).status).toBe(403);
  });

  it("trips a provider: it gets no request until it is reset, and who did it is kept", async () => {
    const tripped = await tell({ action: "trip", provider: "groq", seconds: 60 });
    expect(tripped.shown.done).toEqual([
      "groq:llama-3.3-70b-versatile",
      "groq:meta-llama/llama-4-scout-17b-16e-instruct",
      "groq:whisper-large-v3-turbo",
      "groq:llama-3.1-8b-instant",
    ]);
    expect(stateOf(tripped.shown)).toMatchObject({ state: "tripped", hold: word });
    expect(await answeredBy()).toBe("cfai");
    const reset = await tell({ action: "reset", provider: "groq" });
    expect(stateOf(reset.shown)).toMatchObject({ state: "closed", hold: null });
    expect(await answeredBy()).toBe("groq");
    const kept = (await show()).operations;
    expect(kept.map(({ action }) => action).sort()).toEqual(["reset", "trip"]);
    expect(kept).toContainEqual(expect.objectContaining({ ...word, action: "trip", what: tripped.shown.done }));
  });

  it("trips one model and leaves the provider's others", async () => {
    const { shown } = await tell({ action: "trip", ...groq, seconds: 60 });
    expect(shown.models.filter(({ state }) => state === "tripped")).toHaveLength(1);
    expect(await answeredBy({ "x-intelligence-tier": "advanced" })).toBe("groq");
  });

  it("resets a breaker that opened by itself", async () => {
    expect(await answeredBy({}, { groq: "401" })).toBe("cfai");
    expect(stateOf(await show())).toMatchObject({ state: "open", reason: "denied" });
    expect(await answeredBy()).toBe("cfai");
    await tell({ action: "reset", ...groq });
    expect(await answeredBy()).toBe("groq");
  });

  it("changes a tier's order, and gives the contract's back", async () => {
    const { shown } = await tell({ action: "order", tier: "human", providers: ["openai", "cfai", "groq"] });
    expect(orderOf(shown, "human")).toEqual(["openai", "cfai", "groq"]);
    expect(shown.tiers.find(({ tier }) => tier === "human")?.sees.map(({ provider }) => provider)).toEqual(["openai", "cfai", "groq"]);
    expect(shown.tiers.find(({ tier }) => tier === "human")?.hears.map(({ provider }) => provider)).toEqual(["openai", "cfai", "groq"]);
    expect([await answeredBy(), await answeredBy({ "x-intelligence-tier": "advanced" })]).toEqual(["openai", "groq"]);
    expect(await answeredBy({}, {}, { provider: "groq" })).toBe("groq");
    expect(await answeredBy({}, { groq: "500" }, { provider: "groq" })).toBe("openai");
    expect(orderOf((await tell({ action: "order", tier: "human", providers: [] })).shown, "human")).toEqual(["groq", "cfai", "openai"]);
    expect(await answeredBy()).toBe("groq");
  });

  it.each([
    ["an action that is none", { action: "constructor" }, "unknown_action"],
    ["nobody", { action: "reset", provider: "groq", by: undefined }, "missing_by"],
    ["no reason", { action: "reset", provider: "groq", why: undefined }, "missing_why"],
    ["an unknown provider", { action: "reset", provider: "x" }, "unknown_model"],
    ["another provider's model", { action: "reset", provider: "cfai", model: groq.model }, "unknown_model"],
    ["a trip of everything", { action: "trip", seconds: 60 }, "missing_provider"],
    ["no time", { action: "trip", provider: "groq" }, "invalid_seconds"],
    ["for ever", { action: "trip", provider: "groq", seconds: 1e9 }, "invalid_seconds"],
    ["an unknown tier", { action: "order", tier: "constructor", providers: [] }, "unknown_tier"],
    ["too few providers", { action: "order", tier: "human", providers: ["groq"] }, "invalid_providers"],
    ["a provider twice", { action: "order", tier: "human", providers: ["groq", "groq", "cfai"] }, "invalid_providers"],
    ["no list", { action: "order", tier: "human", providers: "groq" }, "invalid_providers"],
  ])("is refused %s, and nothing is changed or kept", async (_, body, error) => {
    const { status, shown } = await tell(body);
    expect([status, shown.error]).toEqual([400, error]);
    expect((await show()).operations).toEqual([]);
  });
});

describe("another isolate", () => {
  const pending: Promise<unknown>[] = [];
  const sharing: Sharing = { kv, waitUntil: (promise) => pending.push(promise) };

  it("takes a trip over when it next looks, also one whose own breaker changed later", async () => {
    let now = Date.now() + 1000;
    const other = new Breakers(MODELS.breaker, () => now);
    await other.look([groq], sharing);
    expect(other.admit(groq)).toBe(true);
    await tell({ action: "trip", ...groq, seconds: 600 });
    other.failed(groq, new Failure("denied", "x"), sharing);
    await Promise.all(pending);
    now += MODELS.breaker.deniedMs;
    await other.look([groq], sharing);
    await Promise.all(pending);
    expect(other.admit(groq)).toBe(false);
    await tell({ action: "reset", ...groq });
    now += MODELS.breaker.pollMs;
    await other.look([groq], sharing);
    await Promise.all(pending);
    expect(other.overrides.held(groq, now)).toBeUndefined();
  });

  it("takes an order over, and does not forget it when KV shows an older word", async () => {
    const other = new Breakers(MODELS.breaker, Date.now);
    await tell({ action: "order", tier: "human", providers: ["cfai", "groq", "openai"] });
    await other.look([groq], sharing, "human");
    expect(other.overrides.orderOf("human")?.providers).toEqual(["cfai", "groq", "openai"]);
    other.overrides.takeOrder("human", { ...word, at: 1, providers: [] });
    expect(other.overrides.orderOf("human")?.providers).toEqual(["cfai", "groq", "openai"]);
  });

  it.each([null, 7, {}, { until: "1", ...word, at: 1 }, { until: 1, by: 1, why: "x", at: 1 }])(
    "passes over a hold that is %j",
    async (value) => {
      const other = new Breakers(MODELS.breaker, Date.now);
      await kv.put("hold:groq:x", JSON.stringify(value));
      await other.look([{ provider: "groq", model: "x" }], sharing);
      expect(other.admit({ provider: "groq", model: "x" })).toBe(true);
    },
  );
});
