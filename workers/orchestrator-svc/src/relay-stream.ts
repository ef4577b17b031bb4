import { attemptStream } from "./attempt";
import type { Target } from "./breakers";
import { Failure, failureOf } from "./failure";
import { type Hedge, hedged, type Lane } from "./hedge";
import { type Answer, type Attempt, endings, Journey, type Relay, type RelayTimes, type Turn } from "./journey";
import { Stitcher } from "./stitch";
import { estimate, type Message, type Piece, type Question, type Usage } from "./wire";

/** Some text of a streamed answer, whose it is, and what was attempted for it so far. */
export interface Delta extends Target {
  readonly text: string;
  readonly attempts: readonly Attempt[];
}

/**
 * Asks one model after the other for a stream. When one breaks off in its middle the next goes on where it stopped: the caller sees one
 * text in which nothing is repeated, and pays for that one text. Throws a Problem when nobody answers, also in the middle.
 */
export async function* relayStream(relay: Relay, question: Question): AsyncGenerator<Delta, Answer, void> {
  await relay.breakers.look(relay.targets, relay.sharing, relay.tier);
  const journey = new Journey(relay);
  let text = "";
  let complete: Answer | undefined;
  const early = relay.hedge === undefined ? undefined : await hedgedStream(relay, relay.hedge, journey, question);
  for (let begun = early ?? begin(relay, journey, question, ""); begun !== undefined; begun = begin(relay, journey, question, text)) {
    const { turn, took, words } = begun;
    const before = text;
    try {
      for await (const more of words) {
        text += more;
        yield { ...turn.target, text: more, attempts: journey.attempts };
      }
      turn.ended(text);
      const usage = (before === "" ? took.usage : undefined) ?? estimate(question, text);
      complete = { ...turn.target, text, finish: took.finish, ...usage, attempts: journey.attempts };
      if (text.length > before.length) {
        return complete;
      }
      // A model that had nothing to add says that the answer was whole. Another is asked, in case it was only silent.
    } catch (error) {
      turn.failed(failureOf(error));
    } finally {
      turn.left();
    }
  }
  if (complete === undefined) {
    throw journey.problem();
  }
  return complete;
}

/** A model's turn and what it says in it. */
interface Begun {
  readonly turn: Turn;
  readonly took: Took;
  readonly words: AsyncGenerator<string, void, void>;
}

/** The next model's turn, to answer or to go on with an answer; undefined when none is left. */
function begin(relay: Relay, journey: Journey, question: Question, before: string): Begun | undefined {
  // The overall time ends with the first content: from there on it is the gaps that count.
  const turn = journey.turn(relay.times.firstTokenMs, before === "");
  if (turn === undefined) {
    return undefined;
  }
  const took: Took = { finish: "stop", usage: undefined };
  return { turn, took, words: fresh(turn, continued(question, before), before, relay.times, took) };
}

/** The stream of the first model, or of a second that is asked while it is silent, whichever has content first; undefined when they failed. */
async function hedgedStream(relay: Relay, hedge: Hedge, journey: Journey, question: Question): Promise<Begun | undefined> {
  const lane = () => {
    const turn = journey.turn(relay.times.firstTokenMs, true);
    return turn === undefined ? undefined : streamLane(turn, question, relay.times);
  };
  const first = lane();
  const won = first === undefined ? undefined : await hedged<string, ReturnType<typeof streamLane>>(first, hedge, lane);
  return won === undefined ? undefined : { ...won.lane, words: from(won.said, won.lane.words) };
}

function streamLane(turn: Turn, question: Question, times: RelayTimes): Lane<string> & Begun {
  const controller = new AbortController();
  const took: Took = { finish: "stop", usage: undefined };
  const words = fresh(turn, question, "", times, took, controller);
  const first = words.next().then(({ done, value }) => {
    if (done) {
      throw new Failure("empty", "the answer says nothing");
    }
    return value;
  });
  return { turn, took, words, first, ...endings(turn, controller) };
}

async function* from(first: string, rest: AsyncGenerator<string, void, void>): AsyncGenerator<string, void, void> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return();
  }
}

/** What a stream said of itself. */
interface Took {
  finish: string;
  usage: Usage | undefined;
}

/** What is new in a turn's stream. White space before any content is held back: it is no answer yet. */
async function* fresh(
  turn: Turn,
  question: Question,
  before: string,
  times: RelayTimes,
  took: Took,
  controller?: AbortController,
): AsyncGenerator<string, void, void> {
  const stitcher = new Stitcher(before);
  const most = question.maxTokens * maxCharsPerToken;
  let blank = before === "" ? "" : undefined;
  let length = 0;
  const patience = { firstMs: turn.ms, gapMs: times.gapMs };
  for await (const piece of attemptStream(turn.provider, turn.target.model, question, patience, controller)) {
    note(piece, took);
    let text = stitcher.push(piece.text);
    if (blank !== undefined) {
      blank += text;
      text = blank.trim() === "" ? "" : blank;
      blank = text === "" ? blank : undefined;
    }
    if (text !== "") {
      length += text.length;
      yield text;
    }
    if (length > most) {
      took.finish = "length"; // it does not keep to its bound, so it is kept to ours
      return;
    }
  }
  const rest = stitcher.end();
  if (rest !== "") {
    yield rest;
  }
}

/** No language has longer tokens on average. */
const maxCharsPerToken = 16;

function note(piece: Piece, took: Took): void {
  took.finish = piece.finish ?? took.finish;
  took.usage = piece.usage ?? took.usage;
}

const goOn =
  "If the conversation ends in an unfinished answer of yours, go on exactly where it stops. Repeat nothing of it, and do not mention it.";

/** The question to a model that is to go on with an answer. */
function continued(question: Question, text: string): Question {
  if (text === "") {
    return question;
  }
  const messages: Message[] = [{ role: "system", content: goOn }, ...question.messages, { role: "assistant", content: text }];
  return { ...question, messages };
}
