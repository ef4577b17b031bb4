import { orLate } from "./attempt";
import { Audio, refuseLong } from "./audio";
import type { Ear, Said } from "./ear";
import { Failure, failureOf } from "./failure";
import { type Answer, type Attempt, Journey, type Relay, type Turn } from "./journey";
import type { AudioBounds } from "./tier";
import { audiosOf, type Message, messageOf, type Question } from "./wire";

/** What became of a question's audio: the question in words, how long was listened, and who was asked to. */
export interface Heard {
  readonly question: Question;
  readonly ms: number;
  readonly attempts: readonly Attempt[];
}

/** Puts what is said in each piece of audio in its place. Throws a Problem when nobody hears one of them, or they are longer than may be. */
export async function hear(relay: Relay<Ear>, hearMs: number, question: Question, bounds: AudioBounds): Promise<Heard> {
  await relay.breakers.look(relay.targets, relay.sharing, relay.tier);
  const audios = audiosOf(question.messages);
  const journeys = audios.map(() => new Journey(relay));
  // All are waited for, though one may have failed: each turn is to be told how it went.
  const settled = await Promise.allSettled(audios.map((audio, i) => hearOne(journeys[i] as Journey<Ear>, hearMs, audio)));
  const texts = new Map<Audio, string>();
  let ms = 0;
  for (const [i, audio] of audios.entries()) {
    const one = settled[i] as PromiseSettledResult<Said>;
    if (one.status === "rejected") {
      throw one.reason;
    }
    texts.set(audio, one.value.text);
    ms += audio.ms ?? one.value.ms ?? audio.mostMs;
  }
  refuseLong(ms, bounds);
  const messages = question.messages.map((message) => inWords(message, texts));
  return { question: { ...question, messages }, ms, attempts: journeys.flatMap(({ attempts }) => attempts) };
}

/** Asks one model after the other until one hears. */
async function hearOne(journey: Journey<Ear>, hearMs: number, audio: Audio): Promise<Said> {
  for (let turn = journey.turn(hearMs, true); turn !== undefined; turn = journey.turn(hearMs, true)) {
    try {
      const said = await attempt(turn, audio);
      turn.answered();
      return said;
    } catch (error) {
      turn.failed(failureOf(error));
    }
  }
  throw journey.problem();
}

async function attempt({ provider, target, ms }: Turn<Ear>, audio: Audio): Promise<Said> {
  const controller = new AbortController();
  try {
    const said = await orLate(ms, provider.hear(target.model, audio, controller.signal));
    if (new TextEncoder().encode(said.text).byteLength > audio.mostBytes) {
      throw new Failure("malformed", "more words than anybody says in that time");
    }
    return said;
  } catch (error) {
    controller.abort();
    throw error;
  }
}

function inWords(message: Message, texts: ReadonlyMap<Audio, string>): Message {
  const { role, parts } = message;
  return parts === undefined
    ? message
    : messageOf(
        role,
        parts.map((part) => (part instanceof Audio ? (texts.get(part) as string) : part)),
        "\n",
      );
}

/** The answer with what it took to hear the question. */
export function withHeard(answer: Answer, heard: Heard | undefined): Answer {
  return heard === undefined ? answer : { ...answer, audioMs: heard.ms, attempts: [...heard.attempts, ...answer.attempts] };
}
