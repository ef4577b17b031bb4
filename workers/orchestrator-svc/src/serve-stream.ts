import { Problem } from "../../shared/src/problem";
import { withHeard } from "./hear";
import type { Answer, Relay } from "./journey";
import { type Delta, relayStream } from "./relay-stream";
import { type About, bill, type Door, finish, type Served } from "./served";
import { estimate } from "./wire";

const encoder = new TextEncoder();
const streamHeaders = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" };

/** How long a model may take to stop once its caller went away: one that is silent is not waited for. */
const leaveMs = 1_000;

/** The answer begins with the first content: until then a failure has a status of its own. */
export async function streamed(served: Served, relay: Relay): Promise<Response> {
  const { call, asked, use, door, about } = served;
  const deltas = relayStream(relay, asked.question);
  const first = await deltas.next();
  // Without a promise to wait for, the runtime may drop a request whose caller went away before it is charged.
  const settled = Promise.withResolvers<unknown>();
  call.ctx.waitUntil(settled.promise);
  let open = true;
  const settle = (done: () => Promise<unknown>) => {
    if (open) {
      open = false; // what came first counts, the end or the caller's leaving: a stream is charged once
      settled.resolve(done());
    }
  };
  let next: IteratorResult<Delta, Answer> | undefined = first;
  let index = 0;
  let text = "";
  let last = first.value;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = next ?? (await deltas.next());
        next = undefined;
        if (!done) {
          text += value.text;
          last = value;
        }
        if (!open) {
          return;
        }
        if (!done) {
          controller.enqueue(encoder.encode(door.delta(value, index++, about)));
          return;
        }
        const answer = withHeard(value, served.heard);
        const finished = finish(served, answer);
        settle(() => finished.settled);
        await finished.kept;
        controller.enqueue(encoder.encode(door.end(answer, about)));
      } catch (error) {
        if (!open) {
          return;
        }
        settle(async () => {
          use.end();
          await served.admitted.settle(0);
        });
        const problem = error instanceof Problem ? error : new Problem(500, "internal_error", undefined, { cause: error });
        controller.enqueue(encoder.encode(door.broken(problem, about)));
      }
      controller.close();
    },
    // The caller went away: the model is told to stop, nothing is kept, and what was generated is charged.
    cancel() {
      settle(async () => {
        use.end();
        await Promise.race([deltas.return(undefined as never), scheduler.wait(leaveMs)]);
        await bill(served, withHeard({ ...last, text, finish: "left", ...estimate(asked.question, text) }, served.heard));
      });
    },
  });
  const { provider, model } = first.value;
  return new Response(body, { headers: { ...streamHeaders, "x-provider": provider, "x-model": model, "x-cache": "MISS" } });
}

export function replay(answer: Answer, door: Door, about: About): Response {
  const { provider, model, text } = answer;
  const body = door.delta({ provider, model, text, attempts: answer.attempts }, 0, about) + door.end(answer, about);
  return new Response(body, { headers: { ...streamHeaders, "x-provider": provider, "x-model": model, "x-cache": "HIT" } });
}
