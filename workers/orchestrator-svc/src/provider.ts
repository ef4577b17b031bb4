import { MODELS, PROVIDERS } from "../../shared/src/contract.gen";
import type { Env } from "./env.gen";
import { Failure, failureOfAi, failureOfStatus } from "./failure";
import type { Detail } from "./image";
import { type Piece, parseWhole, type Question, spell } from "./wire";

export type ProviderName = keyof typeof PROVIDERS;

/** One provider, ready to be asked. What it throws is a Failure, or came from the network. */
export interface Provider {
  whole(model: string, question: Question, signal: AbortSignal): Promise<Piece>;
  /** The bytes of an event stream. */
  stream(model: string, question: Question, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** The longest answer that is read in one piece. */
const maxAnswerBytes = 4 << 20;
/** How much of an error is looked at. */
const maxErrorBytes = 8 << 10;

/** Every provider for which this environment has what it takes: one without a key is passed over. */
export function providersOf(env: Partial<Env>): Partial<Record<ProviderName, Provider>> {
  const providers: Partial<Record<ProviderName, Provider>> = {};
  for (const name of Object.keys(PROVIDERS) as ProviderName[]) {
    const provider = providerOf(name, env);
    if (provider !== undefined) {
      providers[name] = provider;
    }
  }
  return providers;
}

function providerOf(name: ProviderName, env: Partial<Env>): Provider | undefined {
  const declared = PROVIDERS[name];
  if (declared.wire === "workers-ai") {
    const ai = env[declared.binding];
    return typeof ai?.run === "function" ? workersAi(ai) : undefined;
  }
  const base = env[declared.base];
  const key = env[declared.key];
  return base && key ? chat(base, key) : undefined;
}

const details: Readonly<Record<string, string>> = MODELS.details;

function messagesFor(model: string, { messages }: Question): object[] {
  return messages.map((message) => spell(message, details[model] as Detail | undefined));
}

/** OpenAI's chat completions. */
function chat(base: string, key: string): Provider {
  async function post(model: string, question: Question, stream: boolean, signal: AbortSignal): Promise<Response> {
    const { maxTokens: max_tokens, temperature } = question;
    const response = await fetch(`${base}/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        accept: stream ? "text/event-stream" : "application/json",
      },
      body: JSON.stringify({
        model,
        messages: messagesFor(model, question),
        max_tokens,
        temperature,
        ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
      }),
      redirect: "manual",
      signal,
    });
    if (response.status !== 200) {
      const text = new TextDecoder().decode(await readUpTo(response.body, maxErrorBytes));
      throw failureOfStatus(response.status, text, response.headers.get("retry-after"), Date.now());
    }
    return response;
  }

  return {
    async whole(model, question, signal) {
      const response = await post(model, question, false, signal);
      return parseWhole(parseJson(await readAnswer(response)));
    },
    async stream(model, question, signal) {
      const response = await post(model, question, true, signal);
      if (response.body === null || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
        throw new Failure("malformed", "the answer is no event stream");
      }
      return response.body;
    },
  };
}

function workersAi(ai: Ai): Provider {
  async function run(model: string, question: Question, stream: boolean, signal: AbortSignal): Promise<unknown> {
    const { maxTokens: max_tokens, temperature } = question;
    const messages = messagesFor(model, question);
    try {
      return await ai.run(
        model as keyof AiModels,
        { messages, max_tokens, stream, ...(temperature === undefined ? {} : { temperature }) } as never,
        { signal },
      );
    } catch (error) {
      throw failureOfAi(error);
    }
  }

  return {
    whole: async (model, question, signal) => parseWhole(await run(model, question, false, signal)),
    async stream(model, question, signal) {
      const body = await run(model, question, true, signal);
      if (!(body instanceof ReadableStream)) {
        throw new Failure("malformed", "the answer is no stream");
      }
      return body as ReadableStream<Uint8Array>;
    },
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Failure("malformed", "the answer is not JSON");
  }
}

/** Reads an answer whole. One that says how long it is, and is not packed, is read by the runtime alone. */
async function readAnswer(response: Response): Promise<Uint8Array> {
  const length = response.headers.get("content-length");
  if (length === null || Number(length) > maxAnswerBytes || response.headers.has("content-encoding")) {
    return readUpTo(response.body, maxAnswerBytes);
  }
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new Failure("cut", "the answer broke off", { cause });
  }
}

/** Reads a body of at most max bytes; what is longer is no answer to a bounded question. */
async function readUpTo(body: ReadableStream<Uint8Array> | null, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body ?? []) {
      size += chunk.byteLength;
      if (size > max) {
        throw new Failure("malformed", `the answer is over ${max} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Failure ? error : new Failure("cut", "the answer broke off", { cause: error });
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
