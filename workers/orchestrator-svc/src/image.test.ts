import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { user } from "../../shared/src/testing/callers";
import { readChat } from "./asked";
import type { Env } from "./env.gen";
import { imageOf, refuseMany } from "./image";
import { mostOf } from "./most";
import { facing, type Offer } from "./tier";
import { imagesOf } from "./wire";

const files = (env as unknown as Env).FILES;
const ada = "ada@example.test";
const caller = { id: ada, role: "user", tenant: null, admin: false } as const;

/** Beginnings of real files, which is what they are known by. */
const bytesOf = {
  "image/png": "\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
  "image/jpeg": "\xff\xd8\xff\xe0\0\x10JFIF",
  "image/gif": "GIF89a\x01\0\x01\0",
  "image/webp": "RIFF\x1a\0\0\0WEBPVP8L",
};
type Type = keyof typeof bytesOf;
const urlOf = (type: Type, more = "") => `data:${type};base64,${btoa(bytesOf[type] + more)}`;
const png = urlOf("image/png");
const scout = "meta-llama/llama-4-scout-17b-16e-instruct";

const post = (path: string, body: object, headers: Record<string, string> = {}, id = ada) =>
  SELF.fetch(`https://service${path}`, { method: "POST", headers: { ...user(id), ...headers }, body: JSON.stringify(body) });

async function upload(type: string, bytes: string, id = ada): Promise<string> {
  const body = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
  const headers = { ...user(id), "content-type": type, "content-length": String(body.byteLength) };
  const stored = await files.fetch("https://service/api/files?filename=cat.png", { method: "POST", headers, body });
  return (await stored.json<{ key: string }>()).key;
}

const ask = (attachments: object[], more: object = {}, headers: Record<string, string> = {}, id = ada) =>
  post("/api/si/ask", { skill: "vision-analyze", input: "what is this", attachments, ...more }, headers, id);
const said = async (response: Response) => (await response.json<{ result?: { content: string }; error?: string }>()).result?.content;

describe("an image of the caller's own files", () => {
  it.each(Object.keys(bytesOf) as Type[])("is shown to a model that sees, to the byte: %s", async (type) => {
    const response = await ask([{ storage: "r2", key: await upload(type, bytesOf[type]), role: "image" }]);
    expect([response.headers.get("x-provider"), response.headers.get("x-model")]).toEqual(["groq", scout]);
    expect(await said(response)).toBe(`Seen undetailed ${urlOf(type)}`);
  });

  it.each(["context", "input"])("is shown as %s too, where it was stored as an image", async (role) => {
    const response = await ask([{ storage: "r2", key: await upload("image/png", bytesOf["image/png"]), role }]);
    expect(await said(response)).toBe(`Seen undetailed ${png}`);
  });

  it("goes to the next that sees when one fails, and never to one that does not", async () => {
    const image = { storage: "r2", key: await upload("image/png", bytesOf["image/png"]), role: "image" };
    for (const [input, provider, detail] of [
      [{ groq: "500" }, "cfai", "undetailed"],
      [{ groq: "500", cfai: "500" }, "openai", "low"],
    ] as const) {
      const response = await ask([image], { input });
      expect(response.headers.get("x-provider")).toBe(provider);
      expect(await said(response)).toBe(`Seen ${detail} ${png}`);
    }
    const all = await ask([image], { input: { groq: "500", cfai: "500", openai: "500" } });
    expect([all.status, await all.json()]).toEqual([503, expect.objectContaining({ error: "models_unavailable" })]);
  });

  it("is streamed about, and asked about in another tier's order", async () => {
    const image = { storage: "r2", key: await upload("image/png", bytesOf["image/png"]), role: "image" };
    const response = await ask([image], {}, { accept: "text/event-stream", "x-intelligence-tier": "super" });
    expect(response.headers.get("x-model")).toBe("gpt-4o");
    expect(await response.text()).toContain(`high ${png}`);
  });

  it.each<[string, () => Promise<string>, number, string]>([
    ["another's, whether it is there", () => upload("image/png", bytesOf["image/png"], "bob@example.test"), 403, "attachment_forbidden"],
    [
      "or not",
      async () => (await upload("image/png", bytesOf["image/png"], "bob@example.test")).replace("cat", "dog"),
      403,
      "attachment_forbidden",
    ],
    ["no image at all", () => upload("text/plain", "hello"), 415, "image_unreadable"],
    ["over the tier's largest", () => upload("image/gif", bytesOf["image/gif"].padEnd(1_048_577)), 413, "image_too_large"],
  ])("is refused where it is %s", async (_, stored, status, error) => {
    const response = await ask([{ storage: "r2", key: await stored(), role: "image" }]);
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
  });

  it("is refused with the names of those that see, where a model is asked for that does not", async () => {
    const image = { storage: "r2", key: await upload("image/png", bytesOf["image/png"]), role: "image" };
    const response = await ask([image], { model: "llama-3.1-8b-instant" });
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: "model_does_not_see", detail: expect.stringContaining(`${scout} of groq`) },
    ]);
    expect((await ask([image], { provider: "openai" })).headers.get("x-model")).toBe("gpt-4o-mini");
  });

  it("is part of what an Idempotency-Key and the prompt cache know a question by", async () => {
    const [one, other] = await Promise.all(["1", "2"].map((more) => upload("image/png", bytesOf["image/png"] + more)));
    const keyed = (key: string | undefined) =>
      ask([{ storage: "r2", key, role: "image" }], {}, { "idempotency-key": "image", "cache-control": "max-age=600" });
    const first = await keyed(one);
    expect(await said(first)).toBe(`Seen undetailed ${urlOf("image/png", "1")}`);
    expect([(await keyed(other)).status, (await keyed(one)).headers.get("x-cache")]).toEqual([409, "HIT"]);
    const known = await ask([{ storage: "r2", key: one, role: "image" }], {}, { "cache-control": "max-age=600" });
    const unknown = await ask([{ storage: "r2", key: other, role: "image" }], {}, { "cache-control": "max-age=600" });
    expect([known.headers.get("x-cache"), unknown.headers.get("x-cache")]).toEqual(["HIT", "MISS"]);
    await Promise.all([known.text(), unknown.text()]);
  });
});

describe("an image in a message of OpenAI's format", () => {
  const part = (url: string, detail?: string) => ({ type: "image_url", image_url: { url, ...(detail === undefined ? {} : { detail }) } });
  const chat = (model: string, ...content: object[]) => ({ model, messages: [{ role: "user", content }] });

  it.each([
    ["the tier's", chat("human", { type: "text", text: "what" }, part(png)), scout, `undetailed ${png}`],
    ["without a word", chat("human", part(png)), scout, `undetailed ${png}`],
    ["one that is asked for", chat("gpt-4o-mini", part(png)), "gpt-4o-mini", `low ${png}`],
    ["in high detail", chat("gpt-4o", part(png, "high")), "gpt-4o", `high ${png}`],
    ["in low detail", chat("gpt-4o", part(png, "low")), "gpt-4o", `low ${png}`],
    [
      "one that sees alone",
      chat("@cf/meta/llama-4-scout-17b-16e-instruct", part(png)),
      "@cf/meta/llama-4-scout-17b-16e-instruct",
      `undetailed ${png}`,
    ],
  ])("is shown to a model: %s", async (_, body, model, seen) => {
    const response = await post("/v1/chat/completions", body);
    const { choices } = await response.json<{ choices: { message: { content: string } }[] }>();
    expect([response.headers.get("x-model"), choices[0]?.message.content]).toEqual([model, `Seen ${seen}`]);
  });

  it("keeps its place among the words, and is what its bytes are and not what it is called", async () => {
    const called = png.replace("image/png", "image/gif");
    const { question } = await readChat(
      chat("human", { type: "text", text: "a" }, part(called), { type: "text", text: "b" }),
      null,
      caller,
    );
    expect(question.messages[0]).toMatchObject({ content: "a\nb", parts: ["a", { type: "image/png", bytes: 16 }, "b"] });
    expect(JSON.stringify(question)).not.toContain(btoa(bytesOf["image/png"]));
    expect(imagesOf(question.messages)[0]?.url).toBe(png);
  });

  it("holds what it may cost at the dearest model of the tier", async () => {
    const [words, image] = await Promise.all([
      readChat(chat("human", { type: "text", text: "a" }), null, caller),
      readChat(chat("human", { type: "text", text: "a" }, part(png)), null, caller),
    ]);
    expect(mostOf(image.question) - mostOf(words.question)).toBe(2_833 * 50);
  });
});

describe("a tier that sees nothing", () => {
  const blind: Offer = {
    name: "blind",
    models: [{ provider: "groq", model: "m" }],
    sees: [],
    images: { max: 0, eachBytes: 0, allBytes: 0, tokens: 0 },
    hears: [],
    audio: { max: 0, seconds: 0, bytes: 0 },
    guests: true,
    minTokens: 1,
    maxTokens: 1,
    maxInputChars: 1,
    weight: 1,
  };

  it("says so", () => {
    expect(() => refuseMany(1, blind.images)).toThrow(expect.objectContaining({ code: "tier_does_not_see" }));
    expect(() => refuseMany(0, blind.images)).not.toThrow();
    expect(facing(blind, false).models).toEqual(blind.models);
  });
});

it("an image of one byte too many is refused, and one of none", async () => {
  const bounds = { max: 1, eachBytes: 16, allBytes: 16, tokens: 1 };
  const bytes = Uint8Array.from(bytesOf["image/png"], (c) => c.charCodeAt(0));
  expect((await imageOf(bytes, bounds)).tokens).toBe(1);
  await expect(imageOf(new Uint8Array([...bytes, 0]), bounds)).rejects.toMatchObject({ code: "image_too_large" });
  await expect(imageOf(new Uint8Array(), bounds)).rejects.toMatchObject({ code: "image_unreadable" });
});
