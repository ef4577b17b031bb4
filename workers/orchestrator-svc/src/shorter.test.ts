import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { creditsOf } from "../../shared/src/money/micro";
import { callerHeaders } from "../../shared/src/testing/callers";
import { operate, waitForNothing } from "../../shared/src/testing/limits";
import type { Env } from "./env.gen";
import { meter } from "./known";
import { mostOf, shortened } from "./most";
import worker from "./worker";

const bound = env as unknown as Env;
meter.gatherMs = 0;
waitForNothing();
const microPerToken = 50;

/** A model that writes as much as it may, and says how much that was. */
const AI = {
  run: async (_: string, { max_tokens }: { max_tokens: number }) => ({
    response: `up to ${max_tokens}`,
    usage: { prompt_tokens: 20, completion_tokens: max_tokens },
  }),
} as unknown as Ai;

async function ask(id: string, body: object = {}, tenant: string | null = null, headers: Record<string, string> = {}) {
  const request = new Request("https://service/api/v1/llm/complete", {
    method: "POST",
    headers: { ...callerHeaders({ id, role: "user", tenant }), ...headers },
    body: JSON.stringify({ prompt: "hi", provider: "cfai", ...body }),
  });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(
    request as never,
    { ...bound, AI, USAGE: { sendBatch: async () => {} } as never },
    ctx,
  )) as Response;
  const { text, error } = await response.json<{ text?: string; error?: string }>();
  await waitOnExecutionContext(ctx);
  return { status: response.status, limit: response.headers.get("x-tokens-limit"), text, error };
}

const system = "You are a helpful, precise assistant. Answer what was asked, and say so when you do not know.";
/** What the prompt alone may cost: a token a byte, and the marks around two messages. */
const prompt = (system.length + "hi".length + 2 * 16) * microPerToken;

/** Gives a caller a budget; the answer shows what became of it. */
async function budgetOf(id: string, micro: number) {
  await operate(bound.LIMITS, "", { caller: id, credits_a_day: creditsOf(micro) });
  return () => operate(bound.LIMITS, `caller=${encodeURIComponent(id)}`);
}

describe("a budget that has no room for as long an answer as there may be", () => {
  it.each([
    ["as much as fits is written", 200, {}, 200],
    ["the least", 64, {}, 64],
    ["less than a token over it is none", 200.9, {}, 200],
    ["all that is asked for fits", 200, { max_tokens: 199 }, null],
    ["exactly all of it", 1024, {}, null],
  ])("cuts it: %s", async (name, tokens, body, limit) => {
    const shown = await budgetOf(`${name}@example.test`, prompt + Math.floor(tokens * microPerToken));
    const answer = await ask(`${name}@example.test`, body);
    const written = limit ?? (body as { max_tokens?: number }).max_tokens ?? 1024;
    expect(answer).toMatchObject({ status: 200, limit: limit === null ? null : String(limit), text: `up to ${written}` });
    expect(await shown()).toMatchObject({ held: 0, spent: (20 + written) * microPerToken });
  });

  it.each([
    ["less than the least fits", 63, {}],
    ["a short answer that was asked for does not fit", 4, { max_tokens: 5 }],
    ["nothing fits", -10, {}],
  ])("refuses where %s, and holds nothing", async (name, tokens, body) => {
    const shown = await budgetOf(`${name}@example.test`, prompt + tokens * microPerToken);
    expect(await ask(`${name}@example.test`, body)).toMatchObject({ status: 429, error: "budget_exhausted", limit: null });
    expect(await shown()).toMatchObject({ held: 0, spent: 0 });
  });

  it("cuts it for this caller alone: what was cut is not kept for who asks the same", async () => {
    const known = async () => (await bound.KV.list({ prefix: "known:" })).keys.length;
    await budgetOf("cached@example.test", prompt + 100 * microPerToken);
    const before = await known();
    const cached = { "cache-control": "max-age=60" };
    expect(await ask("cached@example.test", {}, null, cached)).toMatchObject({ status: 200, limit: "100" });
    expect(await known()).toBe(before);
  });

  it("goes by whichever has less, the caller or its tenant", async () => {
    await budgetOf("member@example.test", prompt + 300 * microPerToken);
    await operate(bound.LIMITS, "", { tenant: "small", credits_a_day: creditsOf(prompt + 100 * microPerToken) });
    expect(await ask("member@example.test", {}, "small")).toMatchObject({ status: 200, limit: "100" });
  });

  it("is spent to its end by many at once, and never over it", async () => {
    const micro = 5 * 1024 * microPerToken;
    const shown = await budgetOf("many@example.test", micro);
    const answers = [];
    for (let n = 0; n < 6; n++) {
      answers.push(...(await Promise.all([1, 2, 3, 4].map(() => ask("many@example.test")))));
    }
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
    expect(answers.some(({ limit }) => limit !== null)).toBe(true);
    const { spent, left, held } = await shown();
    expect([spent <= micro, held, left < prompt + 64 * microPerToken]).toEqual([true, 0, true]);
  });
});

describe("a question that is shortened", () => {
  const question = { messages: [{ role: "user", content: "hello" } as const], maxTokens: 100 };
  const most = mostOf(question);
  it.each([
    [most, undefined],
    [most - 1, 99],
    [most - 50, 99],
    [most - 51, 98],
    [most - 90 * 50, 10],
    [most - 90 * 50 - 1, undefined],
    [0, undefined],
  ])("to %d micro-credits writes %j tokens, and costs no more", (micro, tokens) => {
    const less = shortened(question, micro, 10);
    expect(less?.maxTokens).toBe(tokens);
    expect(less === undefined || mostOf(less) <= micro).toBe(true);
  });
});
