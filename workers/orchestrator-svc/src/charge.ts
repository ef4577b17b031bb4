import type { Caller } from "../../shared/src/caller";
import { idOf, uuidv7 } from "../../shared/src/ids";
import { accountOf } from "../../shared/src/money/account";
import { priceOf, priceOfAudio } from "../../shared/src/money/micro";
import { USAGE_VERSION, type UsageEvent } from "../../shared/src/money/usage";
import type { Answer, Attempt } from "./journey";

/** The account that pays for what a caller asks. Guests have none: what they use is nobody's to pay. */
export function payerOf(caller: Caller): string | undefined {
  return caller.role === "guest" && !caller.admin ? undefined : accountOf(caller);
}

/** What an answer costs, in whole micro-credits: its tokens, and the audio that was heard for it. */
export function costOf({ tokensIn, tokensOut, audioMs = 0 }: Answer): number {
  return priceOf(tokensIn + tokensOut) + priceOfAudio(audioMs);
}

/** What is charged for, and to whom. */
export interface Bill {
  readonly account: string;
  readonly route: string;
  readonly skill: string;
  readonly requestId: string;
  /** The caller's Idempotency-Key with a digest of its request. */
  readonly name: readonly string[] | undefined;
}

/**
 * The event of an answer. Under a key its id is the one of account, key and request: asked again it is charged once, and another request
 * under the same key is another charge. The ids of usage that callers post themselves begin with another word, so that nobody can pay
 * little in advance for what is to cost more.
 */
export async function usageOf(bill: Bill, answer: Answer, atMs: number): Promise<UsageEvent> {
  const { account, route, skill, requestId, name } = bill;
  const { provider, model, finish, tokensIn: tokens_in, tokensOut: tokens_out, audioMs } = answer;
  const heard = audioMs === undefined ? {} : { audio_ms: audioMs };
  const attempts = answer.attempts.map(spelt).join(", ");
  return {
    v: USAGE_VERSION,
    id: name === undefined ? uuidv7(atMs) : await idOf("answer", account, ...name),
    kind: "usage",
    account,
    amount: costOf(answer),
    at_ms: atMs,
    meta: { route, tokens_in, tokens_out, provider, model, skill, finish, ...heard, attempts, request_id: requestId },
  };
}

function spelt({ provider, model, outcome, ms }: Attempt): string {
  return `${provider} ${model} ${outcome} ${ms} ms`;
}

/** Between the tries, in milliseconds: together well within the half minute that the runtime leaves to what comes after an answer. */
const pausesMs = [50, 200, 800, 3_000];

/**
 * Sends events in one message to the queue, again when it does not take them: under one id each may arrive twice. The answers were given
 * already, so that nobody can be told: what could not be sent is in the log whole, and can be posted from there.
 */
export async function charge(queue: Queue, events: readonly UsageEvent[], pauses: readonly number[] = pausesMs): Promise<void> {
  for (let n = 0; ; n++) {
    try {
      await queue.sendBatch(events.map((body) => ({ body, contentType: "json" })));
      return;
    } catch (error) {
      const pause = pauses[n];
      if (pause === undefined) {
        for (const event of events) {
          console.error(JSON.stringify({ worker: "orchestrator-svc", what: "usage not queued", cause: String(error), event }));
        }
        return;
      }
      await scheduler.wait(pause);
    }
  }
}
