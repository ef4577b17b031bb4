// Runs in Node, while vitest reads its configuration: turns the contract into what the test runtime binds.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { buildSync } from "esbuild";

const compatibilityDate = "2026-11-01";

interface Binding {
  readonly kv?: string;
  readonly r2?: string;
  readonly queue?: string;
  readonly hyperdrive?: string;
  readonly object?: string;
  readonly version?: boolean;
  readonly service?: string;
  readonly var?: string;
  readonly ai?: boolean;
  readonly secret?: boolean;
}

const contract = (subject: string) => JSON.parse(readFileSync(new URL(`../contract/${subject}.json`, import.meta.url), "utf8"));
interface Consumer {
  readonly batch: number;
  readonly wait_ms: number;
  readonly retries: number;
  readonly retry_delay_s?: number;
  readonly max_concurrency?: number;
  readonly dead_letter?: string;
}

interface Worker {
  readonly compatibility_flags?: string[];
  readonly bindings: Record<string, Binding>;
  readonly consumes?: Record<string, Consumer>;
  readonly objects?: Record<string, object>;
}

const workers: Record<string, Worker> = contract("workers");
const stores: Record<string, { name: string }> = contract("stores");
const local = contract("envs").local;

export const workerNames = Object.keys(workers);

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const kid = "test-k1";
const secrets: Record<string, string> = {
  ADMIN_API_KEY: "test-admin-key",
  FILES_SIGNING_KEY: "test-files-key",
  GROQ_API_KEY: "test-groq-key",
  KID: kid,
  OPENAI_API_KEY: "test-openai-key",
  PRIVATE_KEY_PEM: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
};
const settings: Record<string, string> = { ...local, allowed_origins: local.origins.join(",") };

/** What every test may use beside its Worker's own bindings. */
const fixture = {
  TEST_ADMIN_API_KEY: secrets.ADMIN_API_KEY as string,
  TEST_KEY_VECTORS: readFileSync(new URL("../contract/testdata/keys.json", import.meta.url), "utf8"),
  TEST_ISSUER: local.issuer as string,
  TEST_JWKS: JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" }] }),
  TEST_PRIVATE_JWK: JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid }),
};

/**
 * The database of every Hyperdrive binding: the one that TEST_DATABASE_URL names. Without it the bindings are there and nothing
 * answers behind them, as when the database is down.
 */
const database = process.env.TEST_DATABASE_URL ?? "postgres://nobody:nothing@127.0.0.1:9/none";

/** The runtime's options for the tests of one Worker: the Worker, the services behind it, and a double of the model. */
export function options(name: string) {
  const own = bindings(name, workers[name]?.bindings ?? { KEYS: { kv: "keys" } });
  const services = behind(name).filter((service) => service !== name);
  return {
    compatibilityDate,
    // Workers AI is a service here, and signals go to it as to any other.
    compatibilityFlags: [...(workers[name]?.compatibility_flags ?? []), "enable_abortsignal_rpc"],
    ...own,
    bindings: { ...own.bindings, ...fixture },
    queueConsumers: consumers(workers[name]),
    outboundService: "internet-double",
    workers: [...services.map(service), aiDouble, internetDouble],
  };
}

/** The services behind a Worker, and those behind them. */
function behind(name: string, found: string[] = []): string[] {
  for (const binding of Object.values(workers[name]?.bindings ?? {})) {
    const service = binding.service ?? (binding.object === undefined ? undefined : ownerOf(binding.object));
    if (service !== undefined && !found.includes(service)) {
      found.push(service);
      behind(service, found);
    }
  }
  return found;
}

/** The Worker that implements a Durable Object class. */
function ownerOf(className: string): string {
  return Object.keys(workers).find((name) => className in (workers[name]?.objects ?? {})) as string;
}

/** What the runtime takes for a Worker's bindings. */
interface Made {
  bindings: Record<string, string>;
  kvNamespaces: Record<string, string>;
  r2Buckets: Record<string, string>;
  queueProducers: Record<string, string>;
  hyperdrives: Record<string, string>;
  serviceBindings: Record<string, string>;
  durableObjects: Record<string, object>;
  versionMetadata?: string;
}

/** Where a binding goes, by the member that says its kind. */
const place: Record<string, (made: Made, name: string, binding: Binding, worker: string) => void> = {
  kv: (made, name, binding) => Object.assign(made.kvNamespaces, { [name]: binding.kv }),
  r2: (made, name, binding) => Object.assign(made.r2Buckets, { [name]: binding.r2 }),
  queue: (made, name, binding) => Object.assign(made.queueProducers, { [name]: queueName(binding.queue as string) }),
  hyperdrive: (made, name) => Object.assign(made.hyperdrives, { [name]: database }),
  object: (made, name, { object: className = "" }, worker) =>
    Object.assign(made.durableObjects, {
      [name]: { className, useSQLite: true, ...(ownerOf(className) === worker ? {} : { scriptName: ownerOf(className) }) },
    }),
  service: (made, name, binding) => Object.assign(made.serviceBindings, { [name]: binding.service }),
  ai: (made, name) => Object.assign(made.serviceBindings, { [name]: "ai-double" }),
  var: (made, name, binding) => Object.assign(made.bindings, { [name]: settings[binding.var as string] }),
  version: (made, name) => Object.assign(made, { versionMetadata: name }),
  secret: (made, name) => secrets[name] !== undefined && Object.assign(made.bindings, { [name]: secrets[name] }),
};

function bindings(worker: string, declared = workers[worker]?.bindings ?? {}): Made {
  const made: Made = {
    bindings: {},
    kvNamespaces: {},
    r2Buckets: {},
    queueProducers: {},
    hyperdrives: {},
    serviceBindings: {},
    durableObjects: {},
  };
  for (const [name, binding] of Object.entries(declared)) {
    const kind = Object.keys(binding).find((member) => member in place);
    if (kind === undefined) {
      throw new Error(`binding ${name} is of a kind that tests do not know`);
    }
    place[kind]?.(made, name, binding, worker);
  }
  return made;
}

const queueName = (store: string) => stores[store]?.name as string;

/** How a Worker takes messages, as the runtime says it: times in seconds. */
function consumers(worker: Worker | undefined) {
  const made: Record<string, object> = {};
  for (const [queue, how] of Object.entries(worker?.consumes ?? {})) {
    made[queueName(queue)] = {
      maxBatchSize: how.batch,
      maxBatchTimeout: how.wait_ms / 1000,
      maxRetries: how.retries,
      retryDelay: how.retry_delay_s ?? 0,
      ...(how.dead_letter === undefined ? {} : { deadLetterQueue: queueName(how.dead_letter) }),
    };
  }
  return made;
}

/** As a deployment bundles: CommonJS packages find Node.js's modules, and each package its parts for workerd. */
const bundled = {
  bundle: true,
  format: "esm",
  platform: "node",
  conditions: ["workerd"],
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire("/");' },
  external: ["cloudflare:*", "pg-native"],
} as const;

/** The database driver in one file: vitest would hand CommonJS the part of it that is not for workerd. */
export const driver = fileURLToPath(new URL("./node_modules/.vite/pg.mjs", import.meta.url));
buildSync({ ...bundled, entryPoints: ["node_modules/pg/esm/index.mjs"], outfile: driver });

function service(name: string) {
  const { outputFiles } = buildSync({ ...bundled, entryPoints: [`${name}/src/worker.ts`], write: false });
  const script = outputFiles[0]?.text as string;
  return {
    name,
    modules: true as const,
    script,
    compatibilityDate,
    ...bindings(name),
    queueConsumers: consumers(workers[name]),
  };
}

/**
 * What the doubles of the model providers share: the last message's text says, as JSON, how each provider behaves. Who is shown images
 * says which, and in what detail; a model that does not see takes none. Audio says it in its samples,
 * and what is said in it, and for how long. What has "Repeat:" in it is repeated.
 */
const behaviour = `
const words = ["One", " two", " three", " four", " five"];
const encoder = new TextEncoder();
const partsOf = ({ content }) => (Array.isArray(content) ? content : [{ type: "text", text: content }]);
export const imagesOf = (messages) => messages.flatMap(partsOf).flatMap(({ image_url }) => image_url ?? []);
export const isBlind = (model, messages) => imagesOf(messages).length > 0 && !/gpt-4o|llama-4/.test(model);
export function behaviourOf(messages, provider) {
  try { return JSON.parse(partsOf(messages.findLast((m) => m.role === "user"))[0].text)[provider] ?? "ok"; } catch { return "ok"; }
}
export function heard(bytes, provider) {
  const text = new TextDecoder().decode(bytes);
  let told = {};
  try { told = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)); } catch {}
  return { how: told[provider] ?? "ok", text: told.say ?? "heard " + bytes.length + " bytes", duration: told.duration };
}
/** The words that are left to say: a conversation that ends in an answer is gone on with, or begun again. */
function wordsFor(messages, how) {
  if (how === "empty") return [];
  const images = imagesOf(messages);
  if (images.length > 0) return ["Seen", ...images.map(({ url, detail }) => " " + (detail ?? "undetailed") + " " + url)];
  const last = messages.at(-1);
  if (String(last.content).includes("Repeat:")) return [last.content];
  return last.role === "assistant" && how !== "again" ? words.slice(last.content.trim().split(" ").length) : words;
}
export function whole(messages, how) {
  return wordsFor(messages, how).join("");
}
/** Events of a stream that goes wrong after two words, if it does. */
export function stream(messages, how, event, end) {
  const events = [": hello\\n\\n", ...wordsFor(messages, how).map(event), ...end];
  const wrong = ["cut", "stall", "malformed", "broken"].includes(how.replace(/0$/, ""));
  const sent = wrong ? events.slice(0, how.endsWith("0") ? 1 : 3) : how === "unfinished" ? events.slice(0, -end.length) : events;
  let at = 0;
  return new ReadableStream({ type: "bytes", pull(c) {
    if (at < sent.length) return c.enqueue(encoder.encode(sent[at++]));
    if (how.startsWith("stall")) return new Promise((resolve) => setTimeout(resolve, 1500));
    if (how.startsWith("malformed")) c.enqueue(encoder.encode('data: {"choices": [\\n\\n'));
    if (how.startsWith("broken")) return c.error(new Error("connection lost"));
    c.close();
  } });
}
`;

/** Answers as Workers AI does. A prompt is repeated, and "fail" throws; messages say how it behaves. */
const aiDouble = {
  name: "ai-double",
  compatibilityDate,
  compatibilityFlags: ["enable_abortsignal_rpc"],
  modules: [
    {
      type: "ESModule" as const,
      path: "ai.mjs",
      contents: `import { WorkerEntrypoint } from "cloudflare:workers";
import { behaviourOf, heard, isBlind, whole, stream } from "./behaviour.mjs";
const thrown = { "400": "5006: Error: Invalid input", "402": "4006: you have used up your daily free allocation", "429": "3040: Capacity temporarily exceeded", "500": "3043: Internal server error" };
export default class extends WorkerEntrypoint {
  async run(model, { prompt, messages, max_tokens, stream: streaming, audio }) {
    if (audio !== undefined) {
      const { how, text, duration } = heard(Uint8Array.fromBase64(audio), "cfai");
      if (!/whisper/.test(model)) throw new Error("5006: Error: required properties at '/' are 'messages'");
      if (thrown[how]) throw new Error(thrown[how]);
      return how === "malformed" ? { text: 7 } : { text, transcription_info: { language: "en", duration } };
    }
    if (prompt === "fail") throw new Error("3040: out of capacity");
    if (prompt !== undefined) return { response: model + " " + max_tokens + " " + prompt };
    if (isBlind(model, messages)) throw new Error("5006: Error: Type mismatch of '/messages/0/content', 'array' not in 'string'");
    const how = behaviourOf(messages, "cfai");
    if (thrown[how]) throw new Error(thrown[how]);
    if (how === "silent") return new Promise((resolve) => setTimeout(resolve, 1500));
    if (streaming) return stream(messages, how, (text) => "data: " + JSON.stringify({ response: text }) + "\\n\\n",
      ["data: " + JSON.stringify({ response: "", usage: { prompt_tokens: 30, completion_tokens: 5 } }) + "\\n\\n", "data: [DONE]\\n\\n"]);
    return how === "malformed" ? { response: 7 } : { response: whole(messages, how), usage: { prompt_tokens: 30, completion_tokens: 5 } };
  }
}`,
    },
    { type: "ESModule" as const, path: "behaviour.mjs", contents: behaviour },
  ],
};

/**
 * All that is outside: Groq and OpenAI, and Turnstile's check, which takes the response "good" under the secret "test-secret", and is out
 * of order for "broken".
 */
const internetDouble = {
  name: "internet-double",
  compatibilityDate,
  modules: [
    {
      type: "ESModule" as const,
      path: "internet.mjs",
      contents: `import { behaviourOf, heard, isBlind, whole, stream } from "./behaviour.mjs";
const hosts = { "api.groq.localhost": "groq", "api.openai.localhost": "openai" };
const usage = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 };
function failing(how) {
  if (how === "refuse") return new Response("error code: 521", { status: 521 });
  if (how === "lost") throw new Error("connection lost");
  if (/^\\d+/.test(how)) {
    const [status, after] = how.split(":");
    return Response.json({ error: { message: "no", code: "x" } }, { status: Number(status), headers: after ? { "retry-after": after } : {} });
  }
  if (how === "silent") return new Promise((resolve) => setTimeout(resolve, 1500));
  if (how === "html") return new Response("<p>down", { headers: { "content-type": "text/html" } });
}
/** Answers as OpenAI's transcriptions do: only who asks for the longer answer is told how long it was. */
async function transcribe(request, provider) {
  const form = await request.formData();
  const file = form.get("file");
  if (!/^whisper/.test(form.get("model")) || !/\\.(wav|mp3|ogg|webm|m4a|flac)$/.test(file.name)) return Response.json({ error: { message: "no" } }, { status: 400 });
  const { how, text, duration } = heard(await file.bytes(), provider);
  const failed = failing(how);
  if (failed !== undefined) return failed;
  if (how === "malformed") return new Response('{"text": ');
  return Response.json({ text, ...(form.get("response_format") === "verbose_json" ? { duration, segments: [] } : {}) });
}
async function chat(request, provider) {
  if (new URL(request.url).pathname.endsWith("/audio/transcriptions")) return transcribe(request, provider);
  const { model, messages, stream: streaming } = await request.json();
  if (isBlind(model, messages)) return Response.json({ error: { message: "content must be a string" } }, { status: 400 });
  const how = behaviourOf(messages, provider);
  const failed = failing(how);
  if (failed !== undefined) return failed;
  if (streaming) {
    const chunk = (delta, finish_reason, more) => "data: " + JSON.stringify({ choices: [{ index: 0, delta, finish_reason }], ...more }) + "\\n\\n";
    const body = stream(messages, how, (content) => chunk({ content }, null), [chunk({}, "stop", { usage }), "data: [DONE]\\n\\n"]);
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
  if (how === "malformed") return new Response('{"choices": [');
  return Response.json({ choices: [{ index: 0, message: { role: "assistant", content: whole(messages, how) }, finish_reason: "stop" }], usage });
}
const used = new Set();
/** Answers as Turnstile's siteverify does: each response counts once, for where and what it was given for. */
function siteverify(request, form, response) {
  if (response === "broken") return new Response("down", { status: 500 });
  if (response === "null") return Response.json(null);
  const said = (success, more) => Response.json({ success, "error-codes": [], hostname: "app.cognomega.com", action: "guest", ...more });
  if (form.get("secret") !== "test-secret") return said(false, { "error-codes": ["invalid-input-secret"] });
  if (used.has(response)) return said(false, { "error-codes": ["timeout-or-duplicate"] });
  if (response.startsWith("once")) used.add(response);
  const good = request.method === "POST" && response !== "bad" && form.get("remoteip") === "192.0.2.7";
  return said(good, { elsewhere: { hostname: "evil.example" }, otherwise: { action: "login" }, unsaid: { action: "" } }[response]);
}
export default {
  async fetch(request) {
    const provider = hosts[new URL(request.url).hostname];
    if (provider !== undefined) return chat(request, provider);
    const form = new URLSearchParams(await request.text());
    return siteverify(request, form, form.get("response"));
  },
};`,
    },
    { type: "ESModule" as const, path: "behaviour.mjs", contents: behaviour },
  ],
};
