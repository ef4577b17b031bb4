// Uses OpenAI's own client on the platform, as a program of somebody else would, and prints what it was given as JSON.
import dns from "node:dns";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { PACKAGES, BASE_URL, TOKEN } = process.env;
// No hosts file is needed: whatever the name, the platform is on this machine.
dns.lookup = (_name, options, done) => {
  const callback = typeof options === "function" ? options : done;
  return options.all ? callback(null, [{ address: "127.0.0.1", family: 4 }]) : callback(null, "127.0.0.1", 4);
};
const { default: OpenAI } = await import(pathToFileURL(createRequire(`${PACKAGES}/package.json`).resolve("openai")));

const client = (apiKey) => new OpenAI({ apiKey, baseURL: BASE_URL, maxRetries: 0, timeout: 20_000 });
const ours = client(TOKEN);
const messages = [{ role: "user", content: "Say in a few words why the sky is blue." }];

async function failure(run) {
  try {
    await run();
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.code, type: error.type, message: error.message };
  }
}

async function streamed() {
  const stream = await ours.chat.completions.create({ model: "human", messages, stream: true, stream_options: { include_usage: true } });
  const seen = { content: "", chunks: 0, finish: null, usage: null };
  for await (const chunk of stream) {
    seen.chunks++;
    seen.content += chunk.choices[0]?.delta?.content ?? "";
    seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
    seen.usage = chunk.usage ?? seen.usage;
  }
  return seen;
}

async function left() {
  const stream = await ours.chat.completions.create({ model: "human", messages, stream: true });
  for await (const _ of stream) {
    stream.controller.abort();
  }
  return stream.controller.signal.aborted;
}

const pixel = `data:image/png;base64,${Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1").toString("base64")}`;
const shown = (url) => [{ role: "user", content: [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url } }] }];

async function seen(model) {
  const { data, response } = await ours.chat.completions.create({ model, messages: shown(pixel) }).withResponse();
  return { model: response.headers.get("x-model"), content: data.choices[0].message.content };
}

// Half a second of silence: 4,000 samples of one byte.
const head = "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\xa0\x0f\0\0";
const sound = Buffer.from(head + "\x80".repeat(4_000), "latin1").toString("base64");
const spoken = (data, format) => [{ role: "user", content: [{ type: "input_audio", input_audio: { data, format } }] }];

async function heard() {
  const answer = await ours.chat.completions.create({ model: "human", messages: spoken(sound, "wav") });
  return answer.choices[0].message.content;
}

const { data, response } = await ours.chat.completions.create({ model: "human", messages }).withResponse();
const helper = await ours.chat.completions.stream({ model: "human", messages }).finalChatCompletion();
console.log(
  JSON.stringify({
    whole: data,
    provider: response.headers.get("x-provider"),
    streamed: await streamed(),
    helper: helper.choices[0].message.content,
    left: await left(),
    seen: [await seen("human"), await seen("gpt-4o")],
    heard: await heard(),
    badAudio: await failure(() => ours.chat.completions.create({ model: "human", messages: spoken("hello", "mp3") })),
    badImage: await failure(() => ours.chat.completions.create({ model: "human", messages: shown("http://127.0.0.1/cat.png") })),
    badKey: await failure(() => client("no-such-key").chat.completions.create({ model: "human", messages })),
    badModel: await failure(() => ours.chat.completions.create({ model: "no-such-model", messages })),
    badMessages: await failure(() => ours.chat.completions.create({ model: "human", messages: "hi" })),
  }),
);
