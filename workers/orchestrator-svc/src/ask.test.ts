import { createExecutionContext, env, SELF, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { Call } from "../../shared/src/worker";
import { readChat, readSi } from "./asked";
import { attached } from "./attachments";
import type { Env } from "./env.gen";
import type { Message } from "./wire";
import worker from "./worker";

const sentence = "One two three four five";
const user = { id: "a@example.test", role: "user", tenant: null, admin: false };

interface Given {
  readonly caller?: object;
  readonly headers?: Record<string, string>;
}

function post(path: string, body: unknown, { caller = user, headers = {} }: Given = {}) {
  const inward = { "x-cog-caller": JSON.stringify(caller), "x-request-id": "r1", ...headers };
  return SELF.fetch(`https://service${path}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: inward,
  });
}

const ask = (body: object, given?: Given) => post("/api/si/ask", { skill: "general", input: "hi", ...body }, given);
const sse = { accept: "text/event-stream" };
const events = (text: string) =>
  text
    .trim()
    .split("\n\n")
    .map((block) => [/^event: (.*)$/m.exec(block)?.[1], /^data: (.*)$/m.exec(block)?.[1]] as const)
    .map(([name, data]) => [name, data === "[DONE]" ? data : JSON.parse(data ?? "null")]);
const files = env as unknown as { FILES: Fetcher };

/** Stores a file of a user's and gives its key. */
async function upload(email: string, content: string, type = "text/plain"): Promise<string> {
  const response = await files.FILES.fetch("https://service/api/files?filename=notes.txt", {
    method: "POST",
    headers: {
      "x-cog-caller": JSON.stringify({ ...user, id: email }),
      "x-request-id": "r0",
      "content-type": type,
      "content-length": String(content.length),
    },
    body: content,
  });
  return (await response.json<{ key: string }>()).key;
}

/** What a model is asked when files go with a question. */
async function messagesWith(attachments: object[]): Promise<readonly Message[]> {
  const request = new Request("https://service/api/si/ask", { headers: { "x-cog-caller": JSON.stringify(user) } });
  const call = new Call(request, env as unknown as Env, createExecutionContext(), { params: {}, maxBody: 0 });
  const asked = readSi({ skill: "general", input: "hi" }, null, call.caller);
  return (await attached(call, asked, { attachments })).question.messages;
}

const facts = ["x-provider", "x-model", "x-tokens-in", "x-tokens-out", "x-credits-used", "x-cache"];
const shown = (response: Response) => facts.map((name) => response.headers.get(name));

describe("POST /api/si/ask", () => {
  it("answers in one piece, and says who did and what it cost", async () => {
    const response = await ask({});
    expect(response.status).toBe(200);
    expect(shown(response)).toEqual(["groq", "llama-3.1-8b-instant", "20", "5", "0.001", "MISS"]);
    expect(await response.json()).toEqual({
      result: {
        content: sentence,
        meta: {
          finish_reason: "stop",
          provider: "groq",
          model: "llama-3.1-8b-instant",
          tokens_in: 20,
          tokens_out: 5,
          credits_used: 0.001,
          request_id: "r1",
          attempts: [{ provider: "groq", model: "llama-3.1-8b-instant", outcome: "answered", ms: expect.any(Number) }],
        },
      },
    });
  });

  it("streams deltas in order, then says that it is done", async () => {
    const response = await ask({}, { headers: sse });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
    expect(shown(response)).toEqual(["groq", "llama-3.1-8b-instant", null, null, null, "MISS"]);
    const all = events(await response.text());
    const last = all.pop();
    expect(all.map(([name, { index }]) => [name, index])).toEqual([0, 1, 2, 3, 4].map((n) => ["message", n]));
    expect(all.map(([, { delta }]) => delta).join("")).toBe(sentence);
    expect(last).toEqual([
      "done",
      { finish_reason: "stop", meta: expect.objectContaining({ tokens_in: 20, tokens_out: 5, credits_used: 0.001 }) },
    ]);
  });

  it("goes on with another model when one breaks off, without a word twice", async () => {
    const response = await ask({ input: { groq: "cut" } }, { headers: sse });
    const all = events(await response.text());
    expect(all.flatMap(([name, { delta }]) => (name === "message" ? [delta] : [])).join("")).toBe(sentence);
    expect(all.at(-1)?.[1].meta.attempts.map(({ outcome }: { outcome: string }) => outcome)).toEqual(["cut", "answered"]);
  });

  it("ends a stream that nobody can bring to its end as an error, and charges nothing", async () => {
    const how = { groq: "cut", cfai: "cut0", openai: "empty" };
    const broken = await ask({ input: { ...how, openai: "500" } }, { headers: { ...sse, "x-intelligence-tier": "super" } });
    expect(events(await broken.text()).at(-1)).toEqual([
      "done",
      { finish_reason: "error", meta: { error: "models_unavailable", credits_used: 0, request_id: "r1" } },
    ]);
  });

  it.each([
    ["no skill", { skill: undefined }, 400, "missing_skill"],
    ["an unknown skill", { skill: "juggle" }, 400, "unknown_skill"],
    ["a skill that every object has", { skill: "constructor" }, 400, "unknown_skill"],
    ["no input", { input: undefined }, 400, "missing_input"],
    ["an empty input", { input: "  " }, 400, "invalid_input"],
    ["a list for an input", { input: ["hi"] }, 400, "invalid_input"],
    ["a number for an input", { input: 7 }, 400, "invalid_input"],
    ["an input that is too long", { input: "x".repeat(33_000) }, 413, "input_too_long"],
    ["no tokens", { max_tokens: 0 }, 400, "invalid_max_tokens"],
    ["half a token", { max_tokens: 1.5 }, 400, "invalid_max_tokens"],
    ["a high temperature", { temperature: 3 }, 400, "invalid_temperature"],
    ["attachments that are no list", { attachments: "uploads/x" }, 400, "invalid_attachments"],
    ["too many attachments", { attachments: Array(9).fill({ storage: "r2", key: "uploads/x" }) }, 400, "invalid_attachments"],
    ["an attachment of nothing", { attachments: [null] }, 400, "invalid_attachments"],
    ["an attachment from elsewhere", { attachments: [{ storage: "s3", key: "uploads/x" }] }, 400, "invalid_attachments"],
    ["an attachment of another role", { attachments: [{ storage: "r2", key: "uploads/x", role: "x" }] }, 400, "invalid_attachments"],
    ["an image that is nobody's", { attachments: [{ storage: "r2", key: "uploads/x", role: "image" }] }, 403, "attachment_forbidden"],
    ["a file that is nobody's", { attachments: [{ storage: "r2", key: "uploads/x" }] }, 403, "attachment_forbidden"],
    ["a path out of the uploads", { attachments: [{ storage: "r2", key: "../index/a" }] }, 403, "attachment_forbidden"],
  ])("refuses %s", async (_, body, status, error) => {
    const response = await ask(body);
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
    expect(response.headers.get("x-credits-used")).toBeNull();
  });

  it("reads the caller's own files: context before the question, input in it", async () => {
    const [context, input] = await Promise.all([
      upload(user.id, "the sky is blue"),
      upload(user.id, JSON.stringify({ a: 1 }), "application/json"),
    ]);
    const attachments = [
      { storage: "r2", key: context, role: "context" },
      { storage: "r2", key: input, role: "input" },
    ];
    const { result } = await (await ask({ input: "why", attachments })).json<{
      result: { content: string; meta: { tokens_in: number } };
    }>();
    expect(result.content).toBe(sentence);
    const named = `<file name="notes.txt">\nthe sky is blue\n</file>`;
    expect((await messagesWith(attachments)).slice(1)).toEqual([
      { role: "user", content: named },
      { role: "user", content: `hi\n\n<file name="notes.txt">\n{"a":1}\n</file>` },
    ]);
  });

  it.each([
    ["another's file", async () => upload("b@example.test", "secret"), 403, "attachment_forbidden"],
    [
      "a file of another's that is not there",
      async () => (await upload("b@example.test", "x")).replace("notes", "other"),
      403,
      "attachment_forbidden",
    ],
    ["an own file that is not there", async () => (await upload(user.id, "x")).replace("notes", "other"), 404, "attachment_not_found"],
    ["a file that is no text", async () => upload(user.id, "%PDF-1.7", "application/pdf"), 415, "attachment_unreadable"],
    ["bytes that are no text", async () => upload(user.id, "\u0000\u0001", "application/octet-stream"), 415, "attachment_unreadable"],
    ["more than the tier reads", async () => upload(user.id, "x".repeat(32_000)), 413, "input_too_long"],
    ["far more than the tier reads", async () => upload(user.id, "x".repeat(129_000)), 413, "input_too_long"],
  ])("refuses %s, and charges nothing", async (_, store, status, error) => {
    const response = await ask({ attachments: [{ storage: "r2", key: await store() }] });
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
  });

  const small = "@cf/meta/llama-3.1-8b-instruct";
  const large = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";

  it.each([
    ["a provider", { provider: "cfai" }, "", ["cfai", small]],
    ["another", { provider: "openai" }, "", ["openai", "gpt-4o-mini"]],
    ["a model", { model: small }, "", ["cfai", small]],
    ["a model of another tier's", { model: large }, "pro", ["cfai", large]],
    ["both", { provider: "cfai", model: small }, "human", ["cfai", small]],
    ["nothing", { provider: null, model: null }, "", ["groq", "llama-3.1-8b-instant"]],
  ])("asks what is preferred first: %s", async (_, prefers, tier, want) => {
    const response = await ask(prefers, { headers: { "x-intelligence-tier": tier } });
    const { result } = (await response.json()) as { result: { meta: { attempts: object[] } } };
    expect([response.headers.get("x-provider"), response.headers.get("x-model")]).toEqual(want);
    expect(result.meta.attempts.length).toBe(1);
  });

  it("asks the others of the tier when what is preferred does not answer", async () => {
    const response = await ask({ provider: "openai", input: { openai: "500" } });
    const { result } = (await response.json()) as { result: { meta: { attempts: { provider: string; outcome: string }[] } } };
    expect(result.meta.attempts.map(({ provider, outcome }) => [provider, outcome])).toEqual([
      ["openai", "failed"],
      ["groq", "answered"],
    ]);
  });

  it.each([
    ["an unknown provider", { provider: "acme" }, 400, "unknown_provider"],
    ["a provider that every object has", { provider: "constructor" }, 400, "unknown_provider"],
    ["no text for a provider", { provider: 7 }, 400, "invalid_provider"],
    ["an unknown model", { model: "gpt-9" }, 400, "unknown_model"],
    ["no text for a model", { model: "" }, 400, "invalid_model"],
    ["a model that another provider has", { provider: "groq", model: small }, 400, "unknown_model"],
    ["a model that only a higher tier has", { model: "gpt-4o" }, 403, "model_not_allowed"],
    ["the same of its provider", { provider: "cfai", model: large }, 403, "model_not_allowed"],
  ])("refuses to prefer %s", async (_, prefers, status, error) => {
    const response = await ask(prefers);
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
  });

  it.each([
    ["human", user, 200],
    ["pro", user, 200],
    ["SUPER", user, 200],
    ["", user, 200],
    ["royal", user, 400],
    ["constructor", user, 400],
    ["human", { ...user, id: "guest:1", role: "guest" }, 200],
    ["advanced", { ...user, id: "guest:1", role: "guest" }, 403],
  ])("takes the tier %j of %j: %d", async (tier, caller, status) => {
    const response = await ask({}, { caller, headers: { "x-intelligence-tier": tier } });
    await response.text();
    expect(response.status).toBe(status);
  });
});

describe("Idempotency-Key", () => {
  const keyed = (key: string, body: object = {}, given: Given = {}) =>
    ask(body, { ...given, headers: { "idempotency-key": key, ...given.headers } });

  it("can be repeated as soon as its answer has come, however it came", async () => {
    for (let n = 0; n < 20; n++) {
      const first = await keyed(`at once ${n}`, {}, n % 2 === 0 ? {} : { headers: sse });
      expect([first.status, first.headers.get("x-cache")]).toEqual([200, "MISS"]);
      await first.text();
      const again = await keyed(`at once ${n}`);
      expect([again.status, again.headers.get("x-cache")]).toEqual([200, "HIT"]);
      await again.text();
    }
  });

  it.each([
    ["whole", {}],
    ["as a stream", sse],
  ])("is kept before the answer has come, %s, also where keeping takes a while or fails", async (_, accept) => {
    const { KV, ...rest } = env as unknown as Env;
    for (const fails of [false, true]) {
      const order: string[] = [];
      const slow = new Proxy(KV, {
        get(target, member) {
          const value = Reflect.get(target, member) as (...given: unknown[]) => unknown;
          return member !== "put"
            ? value.bind(target)
            : async (name: string, ...given: unknown[]) => {
                await scheduler.wait(20);
                order.push(name.split(":")[0] as string);
                return fails ? Promise.reject(new Error("429")) : value.call(target, name, ...given);
              };
        },
      });
      const headers = { "x-cog-caller": JSON.stringify(user), "x-request-id": "r1", "idempotency-key": `slow ${_} ${fails}`, ...accept };
      const request = new Request("https://service/api/si/ask", { method: "POST", headers, body: '{"skill":"general","input":"hi"}' });
      const ctx = createExecutionContext();
      const response = (await worker.fetch?.(request as never, { ...rest, KV: slow }, ctx)) as Response;
      await response.text();
      order.push("answered");
      await waitOnExecutionContext(ctx);
      expect([response.status, order]).toEqual([200, ["answer", "answered"]]);
    }
  });

  it("gives the same answer again, in either form", async () => {
    const first = await (await keyed("k1")).json();
    const again = await keyed("k1");
    expect(again.headers.get("x-cache")).toBe("HIT");
    expect(await again.json()).toEqual(first);
    const streamed = events(await (await keyed("k1", {}, { headers: sse })).text());
    expect(streamed.map(([name]) => name)).toEqual(["message", "done"]);
    expect(streamed[0]?.[1]).toEqual({ delta: sentence, index: 0 });
  });

  it("is refused for another request, and is another one for another caller", async () => {
    await (await keyed("k2")).text();
    const other = await keyed("k2", { input: "something else" });
    expect([other.status, await other.json()]).toEqual([409, expect.objectContaining({ error: "idempotency_key_reused" })]);
    const stranger = await keyed("k2", { input: "something else" }, { caller: { ...user, id: "b@example.test" } });
    expect([stranger.status, stranger.headers.get("x-cache")]).toEqual([200, "MISS"]);
    await stranger.text();
  });

  it("keeps what was streamed, and nothing of what failed", async () => {
    await (await keyed("k3", {}, { headers: sse })).text();
    expect((await keyed("k3")).headers.get("x-cache")).toBe("HIT");
    expect((await keyed("k4", { skill: "juggle" })).status).toBe(400);
    expect((await keyed("k4")).headers.get("x-cache")).toBe("MISS");
  });

  it("makes a second call wait while the first is answered", async () => {
    const slow = () => keyed("k5", { input: { groq: "silent", openai: "silent" } });
    // Which of the two comes first is the runtime's choice.
    const both = await Promise.all([slow(), slow()]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    const refused = both.find(({ status }) => status === 409);
    expect(await refused?.json()).toMatchObject({ error: "idempotency_in_progress" });
    expect(refused?.headers.get("retry-after")).toBe("1");
    await both.find(({ status }) => status === 200)?.text();
  });

  it.each(["x".repeat(201), "tab\there"])("is refused as %.20j", async (key) => {
    expect((await keyed(key)).status).toBe(400);
  });
});

describe("POST /api/v1/llm/complete", () => {
  it("gives text, provider and model", async () => {
    const response = await post("/api/v1/llm/complete", { prompt: "hi" });
    expect(await response.json()).toEqual({ text: sentence, provider: "groq", model: "llama-3.1-8b-instant" });
    expect(response.headers.get("x-credits-used")).toBe("0.001");
  });

  it("asks what is preferred first", async () => {
    const response = await post("/api/v1/llm/complete", { prompt: "hi", provider: "cfai" });
    expect(await response.json()).toMatchObject({ provider: "cfai" });
  });

  it("refuses what is no prompt", async () => {
    expect(await (await post("/api/v1/llm/complete", {})).json()).toMatchObject({ error: "missing_prompt" });
  });
});

describe("POST /v1/chat/completions", () => {
  const chat = (body: object, given?: Given) =>
    post("/v1/chat/completions", { model: "human", messages: [{ role: "user", content: "hi" }], ...body }, given);

  it("answers in OpenAI's format", async () => {
    expect(await (await chat({})).json()).toEqual({
      id: "chatcmpl-r1",
      object: "chat.completion",
      created: expect.any(Number),
      model: "llama-3.1-8b-instant",
      choices: [{ index: 0, message: { role: "assistant", content: sentence }, finish_reason: "stop" }],
      usage: { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 },
    });
  });

  it("streams in OpenAI's format, with the usage when it is asked for", async () => {
    const all = events(await (await chat({ stream: true, stream_options: { include_usage: true } })).text()).map(([, data]) => data);
    expect(all.at(-1)).toBe("[DONE]");
    expect(all.at(-2)).toMatchObject({ choices: [], usage: { total_tokens: 25 } });
    expect(all.at(-3).choices).toEqual([{ index: 0, delta: {}, finish_reason: "stop" }]);
    expect(all[0].choices[0].delta).toEqual({ role: "assistant", content: "One" });
    const words = all.slice(0, -3).map(({ choices }) => choices[0].delta.content);
    expect(words.join("")).toBe(sentence);
  });

  it.each([
    ["a model of a tier", { model: "gpt-4o-mini" }, "gpt-4o-mini"],
    ["auto", { model: "auto" }, "llama-3.1-8b-instant"],
    ["a tier by its old name", { model: "pro" }, "llama-3.3-70b-versatile"],
    [
      "parts of text",
      {
        messages: [
          { role: "developer", content: "x" },
          { role: "user", content: [{ type: "text", text: "hi" }] },
        ],
      },
      "llama-3.1-8b-instant",
    ],
    ["what changes nothing", { n: 1, tools: [], user: "u", top_p: 1, response_format: { type: "text" } }, "llama-3.1-8b-instant"],
  ])("takes %s", async (_, body, model) => {
    const response = await chat(body);
    expect([response.status, response.headers.get("x-model")]).toEqual([200, model]);
    await response.text();
  });

  const guest = { ...user, id: "guest:7", role: "guest" };
  it.each([
    ["of the default tier, where that has it", "gpt-4o-mini", {}, 1024],
    ["of the tier that the header says", "gpt-4o-mini", { headers: { "x-intelligence-tier": "pro" } }, 2048],
    ["of the only one that has it", "gpt-4o", { headers: { "x-intelligence-tier": "human" } }, 4096],
    ["of one that a guest may ask for", "gpt-4o-mini", { caller: guest, headers: { "x-intelligence-tier": "" } }, 1024],
  ])("takes a model %s", async (_, model, { caller = user, headers = {} }: Given, most) => {
    const asked = await readChat(
      { model, messages: [{ role: "user", content: "hi" }] },
      headers["x-intelligence-tier"] ?? null,
      caller as typeof user & { role: "user" },
    );
    expect([asked.tier.maxTokens, asked.tier.models[0]?.model]).toEqual([most, model]);
  });

  it("takes no model of a tier that its caller may not ask for", async () => {
    const response = await chat({ model: "gpt-4o" }, { caller: guest });
    expect([response.status, await response.json()]).toEqual([403, { error: expect.objectContaining({ code: "tier_not_allowed" }) }]);
  });

  it.each([
    ["an unknown model", { model: "gpt-9" }, 404, "model_not_found"],
    ["no messages", { messages: [] }, 400, "invalid_messages"],
    ["a message of nobody", { messages: [{ role: "oracle", content: "x" }] }, 400, "invalid_messages"],
    ["null for a message", { messages: [null] }, 400, "invalid_messages"],
    ["a part of no kind", { messages: [{ role: "user", content: [{ type: "constructor" }] }] }, 400, "invalid_messages"],
    ["two answers", { n: 2 }, 400, "unsupported_n"],
    ["tools", { tools: [{}] }, 400, "unsupported_tools"],
    ["a stream of some kind", { stream: "yes" }, 400, "invalid_stream"],
  ])("refuses %s", async (_, body, status, error) => {
    const response = await chat(body);
    expect([response.status, await response.json()]).toEqual([status, { error: expect.objectContaining({ code: error }) }]);
  });
});
