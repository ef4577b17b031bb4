import type { Audio } from "./audio";
import type { Env } from "./env.gen";
import { Failure, failureOfAi } from "./failure";
import { type ProviderName, spokenTo } from "./provider";
import { readJson, refuseError } from "./read-answer";

/** What was said, and how long it took, where the provider says so believably. */
export interface Said {
  readonly text: string;
  readonly ms: number | undefined;
}

/** One provider of models that hear, ready to be asked. What it throws is a Failure, or came from the network. */
export interface Ear {
  hear(model: string, audio: Audio, signal: AbortSignal): Promise<Said>;
}

/** Every provider that this environment has what it takes for. */
export function earsOf(env: Partial<Env>): Partial<Record<ProviderName, Ear>> {
  return spokenTo(env, workersAi, transcriptions);
}

/** OpenAI's transcriptions, which Groq speaks too. Only the longer of its answers says how long the audio was. */
function transcriptions(base: string, key: string): Ear {
  return {
    async hear(model, audio, signal) {
      const body = new FormData();
      body.set("model", model);
      body.set("response_format", "verbose_json");
      body.set("file", audio.file);
      const headers = { authorization: `Bearer ${key}`, accept: "application/json" };
      const response = await fetch(`${base}/audio/transcriptions`, { method: "POST", headers, body, redirect: "manual", signal });
      await refuseError(response);
      const said = await readJson(response);
      return saidOf(said, said);
    },
  };
}

function workersAi(ai: Ai): Ear {
  return {
    async hear(model, audio, signal) {
      let said: unknown;
      try {
        said = await ai.run(model as keyof AiModels, { audio: audio.base64 } as never, { signal });
      } catch (error) {
        throw failureOfAi(error);
      }
      return saidOf(said, (said as { transcription_info?: unknown } | null)?.transcription_info);
    },
  };
}

/** No text at all is an answer too: nothing may be said in audio. */
function saidOf(answer: unknown, timed: unknown): Said {
  const { text } = (answer ?? {}) as { text?: unknown };
  const { duration } = (timed ?? {}) as { duration?: unknown };
  if (typeof text !== "string") {
    throw new Failure("malformed", "what was heard is not a text");
  }
  const believable = typeof duration === "number" && duration > 0 && duration < longestS;
  return { text: text.trim(), ms: believable ? Math.ceil(duration * 1000) : undefined };
}

/** More than anybody sends: a number above it is a mistake. */
const longestS = 86_400;
