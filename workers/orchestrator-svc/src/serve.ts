import { MODELS, PRICES } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Asked } from "./asked";
import { Breakers } from "./breakers";
import type { Env } from "./env.gen";
import { type Once, once } from "./idempotency";
import { providersOf } from "./provider";
import { type Answer, type Delta, type Relay, relayStream, relayWhole } from "./relay";

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

/** What is known of the models is known to the isolate; nothing in it is of any request. */
const breakers = new Breakers(MODELS.breaker, Date.now);

/** Answers a question once a key, whole or as a stream. */
export async function serve(call: Call<Env>, asked: Asked, stream: boolean, door: Door): Promise<Response> {
  const about = { requestId: call.requestId, now: Math.floor(Date.now() / 1000) };
  const use = await once(call, [new URL(call.request.url).pathname, asked]);
  try {
    if (use.kept !== undefined) {
      use.end();
      return stream ? replay(use.kept, door, about) : withFacts(door.whole(use.kept, about), use.kept, "HIT");
    }
    const relay = relayOf(call, asked);
    return stream ? await streamed(call, relay, asked, use, door, about) : await whole(call, relay, asked, use, door, about);
  } catch (error) {
    use.end();
    throw error;
  }
}

function relayOf({ env, ctx }: Call<Env>, { tier }: Asked): Relay {
  return {
    targets: tier.models,
    providers: providersOf(env),
    breakers,
    sharing: { kv: env.KV, waitUntil: (promise) => ctx.waitUntil(promise) },
    times: MODELS.times,
  };
}

async function whole(call: Call<Env>, relay: Relay, { question }: Asked, use: Once, door: Door, about: About): Promise<Response> {
  const answer = await relayWhole(relay, question);
  call.ctx.waitUntil(finish(use, answer));
  return withFacts(door.whole(answer, about), answer, "MISS");
}

/** Keeping comes after the answer: who waits for it should not pay for what others may need. */
async function finish(use: Once, answer: Answer): Promise<void> {
  try {
    await use.keep(answer);
  } finally {
    use.end();
  }
}

const encoder = new TextEncoder();
const streamHeaders = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" };

/** The answer begins with the first content: until then a failure has a status of its own. */
async function streamed(call: Call<Env>, relay: Relay, { question }: Asked, use: Once, door: Door, about: About): Promise<Response> {
  const deltas = relayStream(relay, question);
  const first = await deltas.next();
  let next: IteratorResult<Delta, Answer> | undefined = first;
  let index = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = next ?? (await deltas.next());
        next = undefined;
        if (!done) {
          controller.enqueue(encoder.encode(door.delta(value, index++, about)));
          return;
        }
        call.ctx.waitUntil(finish(use, value));
        controller.enqueue(encoder.encode(door.end(value, about)));
      } catch (error) {
        use.end();
        const problem = error instanceof Problem ? error : new Problem(500, "internal_error", undefined, { cause: error });
        controller.enqueue(encoder.encode(door.broken(problem, about)));
      }
      controller.close();
    },
    // The caller went away: the model is told to stop, and nothing is kept.
    async cancel() {
      use.end();
      await deltas.return(undefined as never);
    },
  });
  const { provider, model } = first.value;
  return new Response(body, { headers: { ...streamHeaders, "x-provider": provider, "x-model": model, "x-cache": "MISS" } });
}

function replay(answer: Answer, door: Door, about: About): Response {
  const { provider, model, text } = answer;
  const body = door.delta({ provider, model, text }, 0, about) + door.end(answer, about);
  return new Response(body, { headers: { ...streamHeaders, "x-provider": provider, "x-model": model, "x-cache": "HIT" } });
}

function withFacts(response: Response, answer: Answer, cache: "HIT" | "MISS"): Response {
  const facts = {
    "x-provider": answer.provider,
    "x-model": answer.model,
    "x-tokens-in": String(answer.tokensIn),
    "x-tokens-out": String(answer.tokensOut),
    "x-credits-used": creditsOf(answer),
    "x-cache": cache,
  };
  for (const [name, value] of Object.entries(facts)) {
    response.headers.set(name, value);
  }
  return response;
}

/** What an answer costs, to 3 decimals: whole micro-credits for every token, and never rounded before it is shown. */
export function creditsOf({ tokensIn, tokensOut }: Answer): string {
  return (microOf(tokensIn + tokensOut) / PRICES.microPerCredit).toFixed(3);
}

function microOf(tokens: number): number {
  return Math.ceil((tokens * PRICES.microPer1kTokens) / 1000);
}
