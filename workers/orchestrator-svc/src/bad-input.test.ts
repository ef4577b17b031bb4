import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { UsageEvent } from "../../shared/src/money/usage";
import { user } from "../../shared/src/testing/callers";
import { operate } from "../../shared/src/testing/limits";
import { wavLasting, wavOf } from "../../shared/src/testing/sounds";
import type { Env } from "./env.gen";
import { meter } from "./known";
import worker from "./worker";

const bound = env as unknown as Env;
meter.gatherMs = 0;
const bob = "bob@example.test";

/** Sends what is bad, and what was charged for it and held for it afterwards. */
async function send(id: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  const sent: UsageEvent[] = [];
  const USAGE = {
    sendBatch: async (batch: { body: UsageEvent }[]) => void sent.push(...batch.map(({ body }) => body)),
  } as unknown as Queue;
  const request = new Request(`https://service${path}`, {
    method: "POST",
    headers: { ...user(id), ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(request as never, { ...bound, USAGE }, ctx)) as Response;
  const said = await response.text();
  await waitOnExecutionContext(ctx);
  const { spent, held } = await operate(bound.LIMITS, `caller=${encodeURIComponent(id)}`);
  return { status: response.status, said, sent, spent, held, headers: response.headers };
}

const codeOf = (said: string) => {
  const { error } = JSON.parse(said) as { error: string | { code: string } };
  return typeof error === "string" ? error : error.code;
};

const ask = "/api/si/ask";
const complete = "/api/v1/llm/complete";
const chat = "/v1/chat/completions";
const question = (more: object = {}) => ({ skill: "general", input: "hi", ...more });
const messages = (content: unknown) => ({ model: "human", messages: [{ role: "user", content }] });
const picture = (url: string, detail?: string) => ({ type: "image_url", image_url: { url, ...(detail === undefined ? {} : { detail }) } });
const dataUrl = (bytes: string) => `data:image/png;base64,${btoa(bytes)}`;
const gif = (bytes: number) => `GIF89a${"x".repeat(bytes - 6)}`;
const pixel = dataUrl(gif(43));
const sound = (bytes: Uint8Array, format = "wav") => ({ type: "input_audio", input_audio: { data: bytes.toBase64(), format } });
const long = (bytes: number) => wavOf("x".repeat(bytes - 44), { rate: 48_000 });
const tenMegabytes = "x".repeat(10 * 1024 * 1024);
const html = { groq: "html", openai: "html", cfai: "malformed" };

async function fileOfBob(): Promise<string> {
  const headers = { ...user(bob), "content-type": "text/plain", "content-length": "6" };
  const stored = await bound.FILES.fetch("https://service/api/files?filename=secret.txt", { method: "POST", headers, body: "secret" });
  return (await stored.json<{ key: string }>()).key;
}

describe("bad input is refused with a clear code and the right status, and nothing is billed or held", () => {
  it.each<[string, string, unknown, number, string, Record<string, string>?]>([
    ["unknown skill", ask, question({ skill: "juggle" }), 400, "unknown_skill"],
    ["unknown tier", ask, question(), 400, "unknown_tier", { "x-intelligence-tier": "royal" }],
    ["unknown tier for a model", chat, { ...messages("hi"), model: "royal" }, 404, "model_not_found"],
    ["10 MB prompt", ask, question({ input: tenMegabytes }), 413, "body_too_large"],
    ["10 MB prompt to complete", complete, { prompt: tenMegabytes }, 413, "body_too_large"],
    ["10 MB prompt among messages", chat, messages(tenMegabytes), 413, "body_too_large"],
    ["prompt that the tier does not read", ask, question({ input: "x".repeat(40_000) }), 413, "input_too_long"],
    ["number for a prompt", ask, question({ input: 7 }), 400, "invalid_input"],
    ["truth for a prompt", ask, question({ input: true }), 400, "invalid_input"],
    ["list for a prompt", ask, question({ input: ["hi"] }), 400, "invalid_input"],
    ["null for a prompt", ask, question({ input: null }), 400, "invalid_input"],
    ["object for a prompt to complete", complete, { prompt: { text: "hi" } }, 400, "invalid_prompt"],
    ["number for a message", chat, messages(7), 400, "invalid_messages"],
    ["text for messages", chat, { model: "human", messages: "hi" }, 400, "invalid_messages"],
    ["no JSON", ask, "{", 400, "invalid_json"],
    ["a list for a body", ask, "[]", 400, "invalid_json"],
    [
      "images among attachments, more than the tier is shown",
      ask,
      question({ attachments: Array(3).fill({ storage: "r2", key: "uploads/x", role: "image" }) }),
      400,
      "too_many_images",
    ],
    [
      "audio among attachments, more than the tier has heard",
      ask,
      question({ attachments: Array(3).fill({ storage: "r2", key: "uploads/x", role: "audio" }) }),
      400,
      "too_many_audios",
    ],
    [
      "an attachment of some kind",
      ask,
      question({ attachments: [{ storage: "r2", key: "uploads/x", role: "video" }] }),
      400,
      "invalid_attachments",
    ],
    ["image to be fetched", chat, messages([picture("https://x.test/a.png")]), 400, "image_url_not_fetched"],
    ["image to be fetched from inside", chat, messages([picture("file:///etc/passwd")]), 400, "image_url_not_fetched"],
    ["image without a URL", chat, messages([{ type: "image_url" }]), 400, "invalid_image_url"],
    ["image in a detail of some kind", chat, messages([picture(pixel, "fine")]), 400, "invalid_image_url"],
    ["image that is not in base64", chat, messages([picture("data:image/png,%89PNG")]), 400, "invalid_image_url"],
    ["image in broken base64", chat, messages([picture("data:image/png;base64,iVBO*")]), 400, "invalid_image_url"],
    ["text that says it is an image", chat, messages([picture(dataUrl("hello, world"))]), 415, "image_unreadable"],
    ["drawing that is text", chat, messages([picture(dataUrl("<svg xmlns='http://www.w3.org/2000/svg'/>"))]), 415, "image_unreadable"],
    ["image over the tier's largest", chat, messages([picture(dataUrl(gif(1_048_577)))]), 413, "image_too_large"],
    ["images over all of the tier's", chat, messages([800_000, 800_000].map((n) => picture(dataUrl(gif(n))))), 413, "images_too_large"],
    ["images, more than the tier is shown", chat, messages([pixel, pixel, pixel].map((url) => picture(url))), 400, "too_many_images"],
    [
      "image of the system's",
      chat,
      {
        model: "human",
        messages: [
          { role: "system", content: [picture(pixel)] },
          { role: "user", content: "hi" },
        ],
      },
      400,
      "invalid_messages",
    ],
    [
      "image to a model that does not see",
      chat,
      { ...messages([picture(pixel)]), model: "llama-3.1-8b-instant" },
      400,
      "model_does_not_see",
    ],
    [
      "words to a model that sees alone",
      chat,
      { ...messages("hi"), model: "@cf/meta/llama-4-scout-17b-16e-instruct" },
      400,
      "model_only_sees",
    ],
    ["audio of nothing", chat, messages([sound(new Uint8Array())]), 415, "audio_unreadable"],
    ["audio without data", chat, messages([{ type: "input_audio" }]), 400, "invalid_input_audio"],
    ["audio of a format that is none", chat, messages([sound(wavLasting(500), "ogg")]), 400, "invalid_input_audio"],
    [
      "audio in broken base64",
      chat,
      messages([{ type: "input_audio", input_audio: { data: "UklG*", format: "wav" } }]),
      400,
      "invalid_input_audio",
    ],
    ["text that says it is audio", chat, messages([sound(new TextEncoder().encode("hello, world"))]), 415, "audio_unreadable"],
    ["audio in a packing that says no length", chat, messages([sound(wavOf("xx", { kind: 0x55 }))]), 415, "audio_unreadable"],
    ["audio longer than the tier has heard", chat, messages([sound(wavLasting(60_001))]), 413, "audio_too_long"],
    ["audio longer together", chat, messages([30_001, 30_000].map((ms) => sound(wavLasting(ms)))), 413, "audio_too_long"],
    ["audio heavier than the tier has heard", chat, messages([sound(long(2_097_153))]), 413, "audio_too_large"],
    ["audio heavier together", chat, messages([sound(long(1_048_577)), sound(long(1_048_577))]), 413, "audio_too_large"],
    ["audio in more pieces than are heard", chat, messages(Array(3).fill(sound(wavLasting(10)))), 400, "too_many_audios"],
    [
      "audio with more words than are read beside it",
      chat,
      messages([sound(wavLasting(500)), { type: "text", text: "x".repeat(30_000) }]),
      413,
      "input_too_long",
    ],
    [
      "audio of the assistant's",
      chat,
      {
        model: "human",
        messages: [
          { role: "assistant", content: [sound(wavLasting(10))] },
          { role: "user", content: "hi" },
        ],
      },
      400,
      "invalid_messages",
    ],
    ["audio by a model that answers nothing", chat, { ...messages([sound(wavLasting(10))]), model: "whisper-1" }, 404, "model_not_found"],
    ["audio for an answer", chat, { ...messages("hi"), audio: { voice: "alloy", format: "wav" } }, 400, "unsupported_audio"],
    ["HTML upstreams", ask, question({ input: html }), 503, "models_unavailable"],
    [
      "a stream of HTML upstreams",
      ask,
      question({ input: { ...html, cfai: "malformed0" } }),
      503,
      "models_unavailable",
      { accept: "text/event-stream" },
    ],
  ])("%s", async (name, path, body, status, error, headers) => {
    const answer = await send(`${name.toLowerCase().replaceAll(" ", "-")}@example.test`, path, body, headers);
    expect([answer.status, codeOf(answer.said)]).toEqual([status, error]);
    expect([answer.sent, answer.spent, answer.held, answer.headers.get("x-credits-used")]).toEqual([[], 0, 0, null]);
    expect(answer.said.length).toBeLessThan(1_000);
  });

  it("attachment of another user: the same answer, whether it is there or not", async () => {
    const key = await fileOfBob();
    const of = (name: string) => question({ attachments: [{ storage: "r2", key: name }] });
    const [there, gone] = [
      await send("eve@example.test", ask, of(key)),
      await send("eve@example.test", ask, of(key.replace("secret", "absent"))),
    ];
    expect([there.status, codeOf(there.said), there.sent, there.spent, there.held]).toEqual([403, "attachment_forbidden", [], 0, 0]);
    expect([gone.status, gone.said]).toEqual([there.status, there.said]);
  });

  it("Idempotency-Key reused with another body", async () => {
    const keyed = { "idempotency-key": "reused" };
    const first = await send("ada@example.test", ask, question(), keyed);
    const other = await send("ada@example.test", ask, question({ input: "another" }), keyed);
    expect([first.status, first.sent.length, other.status, codeOf(other.said), other.sent]).toEqual([
      200,
      1,
      409,
      "idempotency_key_reused",
      [],
    ]);
    expect([other.spent, other.held]).toEqual([first.spent, 0]);
  });

  it("an upstream that answers HTML is passed over, and the answer of the next is billed once", async () => {
    const answer = await send("one html@example.test", ask, question({ input: { groq: "html" } }));
    expect([answer.status, answer.headers.get("x-provider"), answer.sent.length]).toEqual([200, "cfai", 1]);
    expect(answer.sent[0]?.meta.attempts).toMatch(/^groq \S+ malformed \d+ ms, cfai \S+ answered/);
  });
});
