import { createExecutionContext, env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import type { Env } from "./env.gen";
import worker from "./worker";

describeEveryWorker("orchestrator-svc");

const unbound = (path: string, init: RequestInit = {}) => {
  const { AI: _, ...rest } = env as unknown as Env;
  const request = new Request(`https://service${path}`, init) as Request<unknown, IncomingRequestCfProperties>;
  return worker.fetch?.(request, rest as Env, createExecutionContext()) as Promise<Response>;
};
const ask = (body: string) => SELF.fetch("https://service/api/ai/test", { method: "POST", body });

describe("GET /api/ai/binding", () => {
  it("says that the model is bound", async () => {
    const response = await SELF.fetch("https://service/api/ai/binding");
    expect([response.status, await response.text()]).toEqual([200, `{"ai_bound":true}`]);
  });

  it("is 500 and false when it is not", async () => {
    const response = await unbound("/api/ai/binding");
    expect([response.status, await response.json()]).toEqual([500, { ai_bound: false }]);
  });
});

describe("GET /_ready", () => {
  it("names provider and model", async () => {
    const response = await SELF.fetch("https://service/_ready");
    expect(await response.json()).toEqual({ ok: true, provider: "cfai", model: "@cf/meta/llama-3.1-8b-instruct" });
  });

  it("is not ready without a model", async () => {
    const response = await unbound("/_ready");
    expect([response.status, await response.json()]).toEqual([503, expect.objectContaining({ ok: false })]);
  });
});

describe("POST /api/ai/test", () => {
  it("asks the bound model, for at most 64 tokens", async () => {
    expect(await (await ask(`{"prompt":"hi"}`)).json()).toEqual({
      ok: true,
      model: "@cf/meta/llama-3.1-8b-instruct",
      output: "@cf/meta/llama-3.1-8b-instruct 64 hi",
    });
  });

  it.each([
    ["{}", 400, "missing_prompt"],
    [`{"prompt":7}`, 400, "invalid_prompt"],
    [`{"prompt":""}`, 400, "invalid_prompt"],
    [`{"prompt":"${"x".repeat(2001)}"}`, 400, "invalid_prompt"],
    ["{", 400, "invalid_json"],
    [`{"prompt":"fail"}`, 502, "ai_failed"],
  ])("refuses %.30s", async (body, status, error) => {
    const response = await ask(body);
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
  });

  it("is 503 when no model is bound", async () => {
    expect((await unbound("/api/ai/test", { method: "POST", body: `{"prompt":"hi"}` })).status).toBe(503);
  });
});
