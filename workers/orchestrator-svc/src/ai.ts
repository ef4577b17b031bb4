import { requiredText } from "../../shared/src/body";
import { within } from "../../shared/src/deadline";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";

const provider = "cfai";
const model = "@cf/meta/llama-3.1-8b-instruct";

/** Bounds of /api/ai/test: it is open to anyone, so one call must stay cheap. */
const maxPrompt = 2_000;
const maxTokens = 64;
const timeoutMs = 20_000;

/** Says whether the model provider is bound, without asking it. */
export function binding({ env }: Call<Env>): Response {
  const bound = isBound(env);
  return json({ ai_bound: bound }, bound ? 200 : 500);
}

/** The facts behind the gateway's /ready. */
export function ready({ env }: Call<Env>): Response {
  const ok = isBound(env);
  return json({ ok, provider, model }, ok ? 200 : 503);
}

/** Asks the bound model one short question. */
export async function test(call: Call<Env>): Promise<Response> {
  const prompt = requiredText(await call.json(), "prompt", maxPrompt);
  if (!isBound(call.env)) {
    throw new Problem(503, "ai_unbound");
  }
  return json({ ok: true, model, output: await run(call.env.AI, prompt) });
}

function isBound(env: Partial<Env>): boolean {
  return typeof env.AI?.run === "function";
}

async function run(ai: Ai, prompt: string): Promise<string> {
  try {
    return textOf(await within(timeoutMs, ai.run(model, { prompt, max_tokens: maxTokens }), () => new Problem(504, "ai_timeout")));
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(502, "ai_failed", undefined, { cause: error });
  }
}

function textOf(result: unknown): string {
  const response = (result as { response?: unknown } | null)?.response;
  if (typeof response !== "string") {
    throw new Problem(502, "ai_failed", undefined, { cause: new Error("the model's answer has no text") });
  }
  return response;
}
