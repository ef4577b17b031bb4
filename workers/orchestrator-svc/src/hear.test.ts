import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";

import type { UsageEvent } from "../../shared/src/money/usage";
import { guest, user } from "../../shared/src/testing/callers";
import { operate } from "../../shared/src/testing/limits";
import { beginnings, bytesOf, wavLasting } from "../../shared/src/testing/sounds";
import { readChat } from "./asked";
import type { Env } from "./env.gen";
import { breakers, meter } from "./known";
import { mostOf } from "./most";
import worker from "./worker";

const bound = env as unknown as Env;
meter.gatherMs = 0;
const caller = { id: "ada@example.test", role: "user", tenant: null, admin: false } as const;
const turbo = "whisper-large-v3-turbo";
const ears = [
  { provider: "groq", model: turbo },
  { provider: "cfai", model: `@cf/openai/${turbo}` },
  { provider: "openai", model: "whisper-1" },
];

afterEach(async () => {
  await Promise.all(ears.map((ear) => breakers.close(ear, bound.KV)));
});

interface Sending {
  readonly headers?: Record<string, string>;
  readonly more?: Partial<Record<keyof Env, unknown>>;
  readonly read?: (response: Response) => Promise<unknown>;
}

/** Sends a question, and says what was answered, charged and left held. */
async function send(id: string, path: string, body: object, { headers = {}, more = {}, read = (r) => r.text() }: Sending = {}) {
  const sent: UsageEvent[] = [];
  const USAGE = { sendBatch: async (batch: { body: UsageEvent }[]) => void sent.push(...batch.map((one) => one.body)) };
  const request = new Request(`https://service${path}`, {
    method: "POST",
    headers: { ...user(id), ...headers },
    body: JSON.stringify(body),
  });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(request as never, { ...bound, USAGE, ...more } as never, ctx)) as Response;
  const said = String(await read(response));
  await waitOnExecutionContext(ctx);
  const { spent, held } = await operate(bound.LIMITS, `caller=${encodeURIComponent(id)}`);
  return { status: response.status, headers: response.headers, said, sent, spent, held };
}

async function upload(id: string, bytes: Uint8Array<ArrayBuffer>, type = "audio/wav"): Promise<string> {
  const headers = { ...user(id), "content-type": type, "content-length": String(bytes.byteLength) };
  const stored = await bound.FILES.fetch("https://service/api/files?filename=memo.wav", { method: "POST", headers, body: bytes });
  return (await stored.json<{ key: string }>()).key;
}

const file = (key: string, role = "audio") => ({ storage: "r2", key, role });
const about = (...attachments: object[]) => ({ skill: "general", input: "Repeat: what is said in", attachments });
const part = (bytes: Uint8Array) => ({ type: "input_audio", input_audio: { data: bytes.toBase64(), format: "wav" } });
const chat = (...content: object[]) => ({ model: "human", messages: [{ role: "user", content }] });
const contentOf = (said: string) => (JSON.parse(said) as { result: { content: string } }).result.content;
const toldBy = (said: string) => JSON.parse(said) as { error: string; detail: string };
const ask = "/api/si/ask";
const completions = "/v1/chat/completions";

describe("audio of the caller's own files", () => {
  it("is heard, and what is said in it is put where it was", async () => {
    const key = await upload("where@example.test", wavLasting(2_000, { say: "good morning" }));
    const answer = await send("where@example.test", ask, about(file(key)));
    expect(contentOf(answer.said)).toBe('Repeat: what is said in\n<file name="memo.wav">\ngood morning\n</file>');
  });

  it.each(["context", "input"])("is heard as %s too, where it was stored as audio", async (role) => {
    const key = await upload("role@example.test", wavLasting(2_000, { say: "Repeat: good morning" }));
    const answer = await send("role@example.test", ask, about(file(key, role)));
    expect(contentOf(answer.said)).toContain(role === "input" ? "good morning" : "Repeat: what is said in");
    expect(answer.sent[0]?.meta.audio_ms).toBe(2_000);
  });

  it("is charged by its length, once, with the answer; each attempt is told", async () => {
    const key = await upload("charge@example.test", wavLasting(2_000, { groq: "500", duration: 9 }));
    const answer = await send("charge@example.test", ask, about(file(key)));
    const meta = answer.sent[0]?.meta as UsageEvent["meta"];
    const amount = (meta.tokens_in + meta.tokens_out) * 50 + 2 * 500;
    expect(answer.sent.map((event) => event.amount)).toEqual([amount]);
    expect([answer.spent, answer.held, answer.headers.get("x-credits-used")]).toEqual([amount, 0, (amount / 1e6).toFixed(3)]);
    expect(meta.attempts).toMatch(/^groq whisper\S+ failed \d+ ms, cfai @cf\/openai\/whisper\S+ answered \d+ ms, groq llama\S+ answered/);
    expect(meta).toMatchObject({ audio_ms: 2_000, provider: "groq", model: "llama-3.1-8b-instant" });
    expect(JSON.parse(answer.said)).toMatchObject({ result: { meta: { audio_seconds: 2, attempts: { length: 3 } } } });
  });

  it.each(Object.entries(beginnings))("of type %s is charged for as long as whoever hears it says", async (type, begins) => {
    const id = `${type.slice(6)}@example.test`;
    const key = await upload(id, bytesOf(`${begins}${JSON.stringify({ duration: 7.5, say: "Repeat: hi" })}`), type);
    const answer = await send(id, ask, about(file(key)));
    expect([contentOf(answer.said).includes("hi"), answer.sent[0]?.meta.audio_ms, answer.held]).toEqual([true, 7_500, 0]);
  });

  it("is charged at the tier's most where nobody says how long it was", async () => {
    const key = await upload("unsaid@example.test", bytesOf(`${beginnings["audio/mpeg"]}{"duration": "long"}`), "audio/mpeg");
    expect((await send("unsaid@example.test", ask, about(file(key)))).sent[0]?.meta.audio_ms).toBe(60_000);
  });

  it("is refused when it turns out to be longer than the tier has heard, and nothing is charged or held", async () => {
    const key = await upload("long@example.test", bytesOf(`${beginnings["audio/ogg"]}{"duration": 60.1}`), "audio/ogg");
    const answer = await send("long@example.test", ask, about(file(key)));
    expect([answer.status, toldBy(answer.said).error, answer.sent, answer.spent, answer.held]).toEqual([413, "audio_too_long", [], 0, 0]);
    const more = await send("long@example.test", ask, about(file(key)), { headers: { "x-intelligence-tier": "advanced" } });
    expect([more.status, more.sent[0]?.meta.audio_ms]).toEqual([200, 60_100]);
  });

  it("of another is refused, whether it is there or not", async () => {
    const key = await upload("bob@example.test", wavLasting(1_000));
    const [there, gone] = await Promise.all(
      [key, key.replace("memo", "none")].map((one) => send("eve@example.test", ask, about(file(one)))),
    );
    expect([there?.status, there?.said, there?.sent]).toEqual([403, gone?.said, []]);
  });

  it("is heard for a guest, and charged to nobody", async () => {
    const body = chat(part(wavLasting(1_000, { say: "Repeat: hi" })));
    const answer = await send("nobody@example.test", completions, body, { headers: guest });
    expect([answer.status, answer.said.includes("Repeat: hi"), answer.sent]).toEqual([200, true, []]);
  });
});

describe("who hears", () => {
  it.each<[string, object, string]>([
    ["the first", {}, "groq"],
    ["the second where it is out of order", { groq: "500" }, "cfai"],
    ["where it takes no more", { groq: "429:7" }, "cfai"],
    ["where it takes no key", { groq: "401" }, "cfai"],
    ["where it answers a page", { groq: "html" }, "cfai"],
    ["where it answers half", { groq: "malformed" }, "cfai"],
    ["where it cannot be reached", { groq: "refuse" }, "cfai"],
    ["the third where both are", { groq: "500", cfai: "429" }, "openai"],
    ["where the second says no text", { groq: "lost", cfai: "malformed" }, "openai"],
  ])("is %s", async (name, told, provider) => {
    const answer = await send(`${name.replaceAll(" ", "-")}@example.test`, completions, chat(part(wavLasting(500, told))));
    const heard = String(answer.sent[0]?.meta.attempts)
      .split(", ")
      .filter((attempt) => attempt.includes("whisper"));
    expect(heard.filter((attempt) => attempt.includes("answered"))).toEqual([expect.stringMatching(new RegExp(`^${provider} `))]);
    expect(heard).toHaveLength(1 + ["groq", "cfai", "openai"].indexOf(provider));
  });

  it("is nobody, where all are out of order: nothing is charged, and nothing stays held", async () => {
    const told = { groq: "500", cfai: "500", openai: "500" };
    const answer = await send("dead@example.test", completions, chat(part(wavLasting(500, told))));
    const { error } = JSON.parse(answer.said) as { error: { code: string; message: string } };
    expect([answer.status, error.code, answer.headers.get("retry-after")]).toEqual([503, "models_unavailable", "5"]);
    expect([answer.sent, answer.spent, answer.held]).toEqual([[], 0, 0]);
  });

  it("is nobody, where none takes it for audio: that is the caller's to put right, and held against nobody", async () => {
    const told = { groq: "400", cfai: "400", openai: "400" };
    const answer = await send("noise@example.test", ask, about(file(await upload("noise@example.test", wavLasting(500, told)))));
    expect([answer.status, toldBy(answer.said).error, answer.sent, answer.held]).toEqual([400, "input_rejected", [], 0]);
    expect(ears.map((ear) => breakers.known(ear).breaker.failures)).toEqual([0, 0, 0]);
  });

  it("is left alone after it refused our key, and only to hear", async () => {
    await send("key@example.test", completions, chat(part(wavLasting(500, { groq: "401" }))));
    const answer = await send("key@example.test", completions, chat(part(wavLasting(500))));
    expect(answer.sent[0]?.meta.attempts).toMatch(/^cfai \S+ answered \d+ ms, groq llama\S+ answered/);
  });

  it("has its turn alone, of which it is told the end, though another piece of audio fails", async () => {
    const dead = { groq: "500", cfai: "500", openai: "500" };
    const body = chat(part(wavLasting(500)), part(wavLasting(600, dead)));
    expect((await send("two@example.test", completions, body)).status).toBe(503);
    expect(ears.map((ear) => [breakers.known(ear).breaker.attempts, breakers.known(ear).breaker.failures])).toEqual([
      [2, 1],
      [1, 1],
      [1, 1],
    ]);
  });

  it("has more to say than anybody can in the time: that is made up, and another is asked", async () => {
    const answer = await send("made-up@example.test", completions, chat(part(wavLasting(500, { say: "thank you ".repeat(300) }))));
    expect([answer.status, answer.said.includes("malformed"), answer.sent]).toEqual([503, true, []]);
  });

  it("may hear nothing, which is an answer", async () => {
    const answer = await send(
      "silence@example.test",
      completions,
      chat({ type: "text", text: "Repeat:" }, part(wavLasting(500, { say: "" }))),
    );
    expect([answer.status, answer.said.includes('"Repeat:\\n"')]).toEqual([200, true]);
  });
});

describe("audio in a message of OpenAI's format", () => {
  it("keeps its place among the words", async () => {
    const [a, b] = ["Repeat: one", "two"].map((say) => part(wavLasting(500, { say })));
    const body = chat(a as object, { type: "text", text: "and" }, b as object);
    const answer = await send("place@example.test", completions, body);
    const { choices } = JSON.parse(answer.said) as { choices: { message: { content: string } }[] };
    expect(choices[0]?.message.content).toBe("Repeat: one\nand\ntwo");
    expect(answer.sent[0]?.meta.audio_ms).toBe(1_000);
  });

  it("goes with images to a model that sees", async () => {
    const url = `data:image/gif;base64,${btoa("GIF89a")}`;
    const answer = await send("both@example.test", completions, chat(part(wavLasting(500)), { type: "image_url", image_url: { url } }));
    expect([answer.headers.get("x-model"), answer.said.includes(`undetailed ${url}`)]).toEqual([
      "meta-llama/llama-4-scout-17b-16e-instruct",
      true,
    ]);
  });

  it("is held at the most that it may cost, and the answer costs no more", async () => {
    const bytes = wavLasting(2_000, { say: "Repeat: hi" });
    const [words, heard] = await Promise.all([
      readChat(chat({ type: "text", text: "" }, { type: "text", text: "a" }), null, caller),
      readChat(chat({ type: "text", text: "a" }, part(bytes)), null, caller),
    ]);
    expect(mostOf(heard.question) - mostOf(words.question)).toBe(2_048 * 50 + 2 * 500 - 50);
    expect((await send("most@example.test", completions, chat(part(bytes)))).spent).toBeLessThan(mostOf(heard.question));
  });

  it("is neither heard nor charged where a budget has no room for it", async () => {
    await operate(bound.LIMITS, "", { caller: "poor@example.test", credits_a_day: 0.05 });
    const asked: string[] = [];
    const AI = { run: async (model: string) => asked.push(model) };
    const more = { AI, GROQ_API_KEY: "", OPENAI_API_KEY: "" };
    const answer = await send("poor@example.test", completions, chat(part(wavLasting(2_000))), { more });
    expect([answer.status, asked, answer.sent, answer.held]).toEqual([429, [], [], 0]);
  });

  it("is not heard again for what is known", async () => {
    const body = chat(part(wavLasting(500, { say: "Repeat: known" })));
    const headers = { "idempotency-key": "audio-1", "cache-control": "max-age=600" };
    const first = await send("known@example.test", completions, body, { headers });
    const again = await send("known@example.test", completions, body, { headers });
    expect([first.headers.get("x-cache"), again.headers.get("x-cache"), again.sent, again.spent]).toEqual(["MISS", "HIT", [], first.spent]);
    const kept = await send("known@example.test", completions, body, { headers: { "cache-control": "max-age=600" } });
    expect([kept.headers.get("x-cache"), kept.sent]).toEqual(["HIT", []]);
    const other = chat(part(wavLasting(500, { say: "Repeat: other" })));
    expect((await send("known@example.test", completions, other, { headers })).status).toBe(409);
  });

  it("is charged for once with a stream that its caller leaves", async () => {
    const read = async (response: Response) => {
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.cancel();
    };
    const say = JSON.stringify({ groq: "stall" });
    const answer = await send("left@example.test", completions, { ...chat(part(wavLasting(2_000, { say }))), stream: true }, { read });
    const [{ amount, meta }] = answer.sent as [UsageEvent];
    const { tokens_in, tokens_out, finish, audio_ms, attempts } = meta;
    expect([finish, audio_ms, amount]).toEqual(["left", 2_000, (tokens_in + tokens_out) * 50 + 1_000]);
    expect(attempts).toMatch(/^groq whisper\S+ answered \d+ ms, groq llama\S+ left/);
  });

  it("has the end of a stream say what it came to", async () => {
    const key = await upload("end@example.test", wavLasting(2_000));
    const answer = await send("end@example.test", ask, about(file(key)), { headers: { accept: "text/event-stream" } });
    const used = ((answer.sent[0]?.amount ?? 0) / 1e6).toFixed(3);
    expect(answer.said).toContain(`"audio_seconds":2,"credits_used":${Number(used)}`);
  });
});
