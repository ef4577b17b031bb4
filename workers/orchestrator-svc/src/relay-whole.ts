import { attemptWhole } from "./attempt";
import { failureOf } from "./failure";
import { type Hedge, hedged, type Lane } from "./hedge";
import { type Answer, endings, Journey, type Relay, type Turn } from "./journey";
import { estimate, type Piece, type Question } from "./wire";

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
