import { MODELS, PROVIDERS } from "../../shared/src/contract.gen";
import type { Env } from "./env.gen";
import { Failure, failureOfAi } from "./failure";
import type { Detail } from "./image";
import { readJson, refuseError } from "./read-answer";
import { type Piece, parseWhole, type Question, spell } from "./wire";

export type ProviderName = keyof typeof PROVIDERS;

/** One provider, ready to be asked. What it throws is a Failure, or came from the network. */
export interface Provider {
  whole(model: string, question: Question, signal: AbortSignal): Promise<Piece>;
  /** The bytes of an event stream. */
  stream(model: string, question: Question, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** Every provider for which this environment has what it takes: one without a key is passed over. */
export function providersOf(env: Partial<Env>): Partial<Record<ProviderName, Provider>> {
  return spokenTo(env, workersAi, chat);
}

/** What speaks to each provider that this environment has what it takes for. */
export function spokenTo<P>(
  env: Partial<Env>,
  bound: (ai: Ai) => P,
  outside: (base: string, key: string) => P,
): Partial<Record<ProviderName, P>> {
  const found: Partial<Record<ProviderName, P>> = {};
  for (const name of Object.keys(PROVIDERS) as ProviderName[]) {
    const declared = PROVIDERS[name];
    if (declared.wire === "workers-ai") {
      const ai = env[declared.binding];
      if (typeof ai?.run === "function") {
        found[name] = bound(ai);
      }
    } else {
      const [base, key] = [env[declared.base], env[declared.key]];
      if (base && key) {
        found[name] = outside(base, key);
      }
    }
  }
  return found;
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
    await refuseError(response);
    return response;
  }

  return {
    async whole(model, question, signal) {
      const response = await post(model, question, false, signal);
      return parseWhole(await readJson(response));
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
