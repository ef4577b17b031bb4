import { Problem } from "../../shared/src/problem";
import { attemptStream, attemptWhole } from "./attempt";
import type { Breakers, Sharing, Target } from "./breakers";
import { Failure, type FailureKind, failureOf } from "./failure";
import { type Hedge, hedged, type Lane } from "./hedge";
import type { Provider } from "./provider";
import { Stitcher } from "./stitch";
import { estimateTokens, type Message, type Piece, type Question, tokensOfImages, type Usage } from "./wire";

/** One attempt as it is told and recorded; "left" is one whose caller went away, "outrun" one that another was faster than. */
export interface Attempt extends Target {
  readonly outcome: "answered" | "left" | "outrun" | FailureKind;
  readonly ms: number;
}

export interface Answer extends Target, Usage {
  readonly text: string;
  readonly finish: string;
  readonly attempts: readonly Attempt[];
  /** Of one that was kept when the same was asked before: when. It was paid for then. */
  readonly madeAtMs?: number;
}

export interface RelayTimes {
  readonly firstTokenMs: number;
  readonly answerMs: number;
  readonly gapMs: number;
  readonly overallMs: number;
}

/** What one request needs to find a model that answers. */
export interface Relay {
  /** In the order in which they are tried, unless operators want another for the tier. */
  readonly targets: readonly Target[];
  readonly tier?: string;
  /** The targets that stay the first, whatever the order. */
  readonly pinned?: readonly Target[] | undefined;
  readonly providers: Readonly<Partial<Record<string, Provider>>>;
  readonly breakers: Breakers;
  readonly sharing: Sharing;
  readonly times: RelayTimes;
  /** Undefined: nobody is asked before the one before has failed. */
  readonly hedge?: Hedge | undefined;
}

/** The way of one request along the models: whose turn it is, and what came of the turns before. */
class Journey {
  readonly attempts: Attempt[] = [];
  private readonly relay: Relay;
  private readonly ready: readonly Target[];
  private readonly deadline: number;
  private next = 0;

  constructor(relay: Relay) {
    this.relay = relay;
    const { breakers, providers, tier, targets, pinned } = relay;
    this.ready = breakers.overrides.sorted(tier, targets, pinned).filter(({ provider }) => providers[provider] !== undefined);
    this.deadline = Date.now() + relay.times.overallMs;
  }

  /** The next model that may be asked, with its turn's time; undefined when none is left, or no time. */
  turn(patienceMs: number, bounded: boolean): Turn | undefined {
    while (this.next < this.ready.length) {
      const left = bounded ? this.deadline - Date.now() : patienceMs;
      if (left <= 0) {
        return undefined;
      }
      const target = this.ready[this.next++] as Target;
      if (this.relay.breakers.admit(target)) {
        return new Turn(this.relay, this.attempts, target, Math.min(patienceMs, left));
      }
    }
    return undefined;
  }

  /** Why nobody answered, for the caller. */
  problem(): Problem {
    if (this.ready.length === 0) {
      return new Problem(503, "ai_unbound", "No model provider is configured.");
    }
    const kinds = this.attempts.map(({ outcome }) => outcome);
    if (kinds.length === 0) {
      const seconds = Math.ceil((this.relay.breakers.soonest(this.ready) - Date.now()) / 1000);
      return unavailable("Every model is left alone for a while, because it failed.", Math.max(1, seconds));
    }
    if (kinds.every((kind) => kind === "rejected")) {
      return new Problem(400, "input_rejected", "No model takes this input.");
    }
    if (Date.now() >= this.deadline) {
      return new Problem(504, "models_timeout", "No model answered in time.", { headers: { "retry-after": "5" } });
    }
    return unavailable(this.attempts.map(({ provider, outcome }) => `${provider}: ${outcome}`).join(", "), 5);
  }
}

function unavailable(detail: string, retryAfterS: number): Problem {
  return new Problem(503, "models_unavailable", detail, { headers: { "retry-after": String(retryAfterS) } });
}

/** One model's turn. It is told exactly once how it went. */
class Turn {
  readonly target: Target;
  readonly provider: Provider;
  readonly ms: number;
  private readonly relay: Relay;
  private readonly attempts: Attempt[];
  private readonly started = Date.now();
  private told = false;

  constructor(relay: Relay, attempts: Attempt[], target: Target, ms: number) {
    this.relay = relay;
    this.attempts = attempts;
    this.target = target;
    this.provider = relay.providers[target.provider] as Provider;
    this.ms = ms;
  }

  answered(): void {
    this.tell("answered");
    this.relay.breakers.succeeded(this.target, this.relay.sharing);
  }

  /** A stream has come to its end: it answered, unless there is no text at all. */
  ended(text: string): void {
    if (text === "") {
      throw new Failure("empty", "the answer says nothing");
    }
    this.answered();
  }

  failed(failure: Failure): void {
    this.tell(failure.kind);
    this.relay.breakers.failed(this.target, failure, this.relay.sharing);
    console.warn(JSON.stringify({ worker: "orchestrator-svc", ...this.attempts.at(-1), failure: failure.message }));
  }

  /** The caller went away: nothing is known of the model. */
  left(): void {
    this.unheard("left");
  }

  /** Another was faster: nothing is known of this one. */
  outrun(): void {
    this.unheard("outrun");
  }

  private unheard(outcome: "left" | "outrun"): void {
    if (!this.told) {
      this.tell(outcome);
      this.relay.breakers.abandoned(this.target);
    }
  }

  private tell(outcome: Attempt["outcome"]): void {
    this.told = true;
    this.attempts.push({ ...this.target, outcome, ms: Date.now() - this.started });
  }
}

/** Asks one model after the other until one answers in one piece. */
export async function relayWhole(relay: Relay, question: Question): Promise<Answer> {
  await relay.breakers.look(relay.targets, relay.sharing, relay.tier);
  const journey = new Journey(relay);
  const early = relay.hedge === undefined ? undefined : await hedgedWhole(relay, relay.hedge, journey, question);
  if (early !== undefined) {
    return early;
  }
  for (let turn = journey.turn(relay.times.answerMs, true); turn !== undefined; turn = journey.turn(relay.times.answerMs, true)) {
    try {
      const piece = await attemptWhole(turn.provider, turn.target.model, question, { firstMs: turn.ms, gapMs: 0 });
      return answerOf(turn, piece, journey, question);
    } catch (error) {
      turn.failed(failureOf(error));
    }
  }
  throw journey.problem();
}

function answerOf(turn: Turn, piece: Piece, { attempts }: Journey, question: Question): Answer {
  turn.answered();
  const usage = piece.usage ?? estimate(question, piece.text);
  return { ...turn.target, text: piece.text, finish: piece.finish ?? "stop", ...usage, attempts };
}

/** The first answer of the first model, or of a second that is asked while it is silent; undefined when they failed. */
async function hedgedWhole(relay: Relay, hedge: Hedge, journey: Journey, question: Question): Promise<Answer | undefined> {
  const lane = () => {
    const turn = journey.turn(relay.times.answerMs, true);
    return turn === undefined ? undefined : wholeLane(turn, question);
  };
  const first = lane();
  const won = first === undefined ? undefined : await hedged<Piece, ReturnType<typeof wholeLane>>(first, hedge, lane);
  return won === undefined ? undefined : answerOf(won.lane.turn, won.said, journey, question);
}

function wholeLane(turn: Turn, question: Question): Lane<Piece> & { readonly turn: Turn } {
  const controller = new AbortController();
  const first = attemptWhole(turn.provider, turn.target.model, question, { firstMs: turn.ms, gapMs: 0 }, controller);
  return { turn, first, ...endings(turn, controller) };
}

function endings(turn: Turn, controller: AbortController): Pick<Lane<unknown>, "outrun" | "failed"> {
  return {
    outrun() {
      turn.outrun();
      controller.abort();
    },
    failed: (failure) => turn.failed(failure),
  };
}

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

/** What a question and its answer come to where no provider counted, or not all of it. */
export function estimate(question: Question, text: string): Usage {
  const tokensIn = estimateTokens(...question.messages.map((m) => m.content)) + tokensOfImages(question);
  return { tokensIn, tokensOut: estimateTokens(text) };
}
