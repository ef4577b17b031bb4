import type { Admitted } from "../../shared/src/limits/admission";
import type { Problem } from "../../shared/src/problem";
import { splitUrl } from "../../shared/src/router";
import type { Call } from "../../shared/src/worker";
import type { Asked } from "./asked";
import { costOf, usageOf } from "./charge";
import type { Env } from "./env.gen";
import type { Heard } from "./hear";
import type { Once } from "./idempotency";
import type { Answer } from "./journey";
import { meter } from "./known";
import type { PromptCache } from "./prompt-cache";
import type { Delta } from "./relay-stream";

/** How one of the doors writes an answer down. */
export interface Door {
  readonly whole: (answer: Answer, about: About) => Response;
  readonly delta: (delta: Delta, index: number, about: About) => string;
  readonly end: (answer: Answer, about: About) => string;
  /** The end of a stream that could not be brought to its own. */
  readonly broken: (problem: Problem, about: About) => string;
}

export interface About {
  readonly requestId: string;
  /** In seconds. */
  readonly now: number;
}

/** One request on its way to an answer. */
export interface Served {
  readonly call: Call<Env>;
  readonly asked: Asked;
  readonly use: Once;
  readonly door: Door;
  readonly about: About;
  /** Who pays; nobody for a guest. */
  readonly payer: string | undefined;
  readonly balance: Promise<string | null>;
  /** What was taken of the caller's limits. */
  readonly admitted: Admitted;
  /** What became of the question's audio, where it had any. */
  readonly heard?: Heard;
  /** Undefined where this question is always a model's to answer. */
  readonly cache: PromptCache | undefined;
}

/**
 * Charging comes after the answer: who waits for it should not pay for what others may need. Keeping comes before, for a caller who gave
 * a key: one that loses the answer on its way and asks again has to find it.
 */
export function finish(served: Served, answer: Answer): { kept: Promise<void>; settled: Promise<unknown> } {
  const kept = keepAnswer(served.use, answer);
  return { kept, settled: Promise.all([kept, bill(served, answer), served.cache?.keep(answer)]) };
}

/** An answer that cannot be kept is given all the same: asked again it is made again, and charged once. */
export async function keepAnswer(use: Once, answer: Answer): Promise<void> {
  try {
    await use.keep(answer);
  } catch (error) {
    console.error(JSON.stringify({ worker: "orchestrator-svc", what: "answer not kept", cause: String(error) }));
  } finally {
    use.end();
  }
}

export async function bill({ call, asked, use, about, admitted, payer: account }: Served, answer: Answer): Promise<void> {
  const settled = admitted.settle(costOf(answer));
  if (account !== undefined) {
    const route = splitUrl(call.request.url).path;
    const event = await usageOf({ account, route, skill: asked.skill, requestId: about.requestId, name: use.name }, answer, Date.now());
    await meter.charge(call.env.USAGE, event);
  }
  await settled;
}
