import { idOf, uuidv7 } from "../../shared/src/ids";
import { accountOf } from "../../shared/src/money/account";
import type { UsageEvent } from "../../shared/src/money/usage";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { readProvenance, usageEvent } from "./event";

/** Takes one use of the caller's own account: it is answered when the queue has it, and the ledger is not waited for. */
export async function takeUsage(call: Call<Env>): Promise<Response> {
  const { caller, requestId } = call;
  const account = accountOf(caller);
  const idempotencyKey = givenKey(call.request);
  const body = await call.json();
  const { id, atMs } = caller.admin ? readProvenance(body, Date.now()) : { id: undefined, atMs: Date.now() };
  const event = usageEvent(body, {
    // A key counts for its account alone: nobody can use up another's.
    id: id ?? (idempotencyKey === null ? uuidv7(atMs) : await idOf("usage", account, idempotencyKey)),
    account,
    atMs,
    requestId,
  });
  await enqueue(call.env.USAGE, event);
  return json({ ok: true, queued: true, id: event.id, created_at: new Date(event.at_ms).toISOString() }, 202);
}

function givenKey(request: Request): string | null {
  const key = request.headers.get("idempotency-key");
  if (key !== null && (key === "" || key.length > 200)) {
    throw new Problem(400, "invalid_idempotency_key", "Idempotency-Key is not a text of 1 to 200 characters.");
  }
  return key;
}

/** What was used is never turned away; when it cannot be queued the caller keeps it, and asks again with the same key. */
async function enqueue(queue: Queue<UsageEvent>, event: UsageEvent): Promise<void> {
  try {
    await queue.send(event, { contentType: "json" });
  } catch (error) {
    throw new Problem(503, "usage_not_queued", "Send it again with the same Idempotency-Key.", {
      cause: error,
      headers: { "retry-after": "5" },
    });
  }
}
