import { SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { CALLER_HEADER, encodeCaller } from "../../shared/src/caller";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";

describeEveryWorker("rate-limiter-do");

const admin = { [CALLER_HEADER]: encodeCaller({ id: null, role: null, tenant: null, admin: true }) };
const url = "https://limits.test/api/admin/limits";

async function put(body: object, headers: Record<string, string> = admin) {
  const response = await SELF.fetch(url, { method: "PUT", headers, body: JSON.stringify(body) });
  return { status: response.status, body: await response.json<Record<string, unknown>>() };
}

async function show(query: string) {
  return (await SELF.fetch(`${url}?${query}`, { headers: admin })).json<Record<string, unknown>>();
}

const rate = { count: 10, period_ms: 1000, burst: 5 };

describe("an operator", () => {
  it("is the admin key's alone, whatever the gateway lets in", async () => {
    expect(await put({ caller: "ada@example.test", rate, reason: "r" }, {})).toMatchObject({ status: 403, body: { error: "forbidden" } });
    expect((await SELF.fetch(`${url}?caller=a@b.test`)).status).toBe(403);
    expect((await SELF.fetch(`${url}/simulate`, { method: "POST", body: "{}" })).status).toBe(403);
  });

  it("sees what the contract gives, sets another limit, and takes it away", async () => {
    const before = await show("caller=Ada@example.test");
    expect(before).toMatchObject({ subject: "caller:ada@example.test", own: null, when_down: "admit", limits: { credits_a_day: 200 } });
    const set = await put({ caller: "ada@example.test", rate, credits_a_day: 1.5, reason: "a dispute", actor: "grace" });
    expect(set).toMatchObject({
      status: 200,
      body: { limits: { rate, credits_a_day: 1.5 }, own: { actor: "grace", reason: "a dispute" } },
    });
    expect(await show("caller=ada@example.test")).toMatchObject({ limits: { rate }, budget: { left_credits: 1.5 } });
    expect((await put({ caller: "ada@example.test", clear: true })).body).toEqual(before);
  });

  it.each([
    ["guest:1f0c", "refuse", 2],
    ["bob@example.test", "admit", 200],
  ])("sees the role of %s by its name", async (caller, down, credits) => {
    expect(await show(`caller=${caller}`)).toMatchObject({ when_down: down, contract: { credits_a_day: credits } });
  });

  it("sees a tenant, and all guests together", async () => {
    expect(await show("tenant=acme")).toMatchObject({ subject: "tenant:acme", ledger_credits: null });
    expect(await show("tenant=guests")).toMatchObject({ subject: "guests", when_down: "refuse" });
  });

  it.each([
    [{ rate, reason: "r" }, "invalid_subject"],
    [{ caller: "a@b.test", tenant: "t", rate, reason: "r" }, "invalid_subject"],
    [{ caller: "a@b.test", reason: "r" }, "nothing_to_do"],
    [{ caller: "a@b.test", rate }, "missing_reason"],
    [{ caller: "a@b.test", rate: { ...rate, burst: 0 }, reason: "r" }, "invalid_rate"],
    [{ caller: "a@b.test", rate: 5, reason: "r" }, "invalid_rate"],
    [{ caller: "a@b.test", credits_a_day: -1, reason: "r" }, "invalid_credits_a_day"],
    [{ caller: "a@b.test", credits_a_day: 0.0000001, reason: "r" }, "invalid_credits_a_day"],
    [{ caller: "a@b.test", rate, until: "2001-01-01T00:00:00Z", reason: "r" }, "invalid_until"],
    [{ caller: "a@b.test", rate, until: "soon", reason: "r" }, "invalid_until"],
  ])("is told what is wrong with %j", async (body, error) => {
    expect(await put(body)).toMatchObject({ status: 400, body: { error } });
  });
});

describe("a simulation", () => {
  const load = { calls: 100, every_ms: 10, weight: 1, hold_credits: 0.1, cost_credits: 0.01, takes_ms: 50 };
  const ask = async (body: object) => {
    const response = await SELF.fetch(`${url}/simulate`, { method: "POST", headers: admin, body: JSON.stringify(body) });
    return response.json();
  };

  it.each([
    // 5 at once, and one each 100 ms: 990 ms are 9 more.
    ["a rate that is too low", { rate, credits_a_day: 100, load }, { admitted: 14, rate_limited: 86, first_refused_ms: 50 }],
    ["a budget that is too small", { rate: { ...rate, burst: 100 }, credits_a_day: 0.35, load }, { rate_limited: 0, first_refused_ms: 30 }],
    [
      "limits that are wide enough",
      { rate: { ...rate, burst: 100 }, credits_a_day: 10, load },
      { admitted: 100, spent_credits: 1, first_refused_ms: null },
    ],
  ])("finds %s", async (_, body, want) => {
    expect(await ask(body)).toMatchObject(want);
  });

  it("does ten thousand calls, and not one more", async () => {
    const many = { rate: { ...rate, burst: 20_000 }, credits_a_day: 1_000_000, load: { ...load, calls: 10_000, takes_ms: 60_000 } };
    expect(await ask(many)).toMatchObject({ admitted: 10_000 });
    expect(await ask({ ...many, load: { ...load, calls: 10_001 } })).toMatchObject({ error: "invalid_load" });
  });
});
