import { QUEUES } from "../../shared/src/contract.gen";
import { openDatabase } from "../../shared/src/database";
import { Ledger, type Posted } from "../../shared/src/money/ledger";
import type { Use } from "../../shared/src/money/usage";
import type { Env } from "./env.gen";
import { log } from "./log";
import { sendToShow } from "./show";
import { type Fate, fateOf, isNewer, retryDelay, sortForFeed } from "./sort";

const { retryDelay: firstRetryS } = QUEUES["usage-events"];

/**
 * Posts a batch of usage to the ledger in one statement, then sends it to be shown in KV. Idempotent by each event's id: what is
 * delivered twice adds nothing. A message is acknowledged as soon as the ledger has it, and by nothing else: KV can be made again
 * from the ledger.
 */
export async function writeUsage(batch: MessageBatch, env: Env, ctx: ExecutionContext): Promise<void> {
  const messages = batch.messages.filter(({ body }) => !isNewer(body));
  for (const message of batch.messages.filter(({ body }) => isNewer(body))) {
    retry(message);
  }
  if (messages.length === 0) {
    return;
  }
  const db = openDatabase(env.DB);
  try {
    const ledger = new Ledger(db);
    const asked = Date.now();
    const posted = await ledger.post(messages.map(({ body }) => body));
    await settle(messages, posted, env);
    await show(messages, { ...posted, as_of_ms: asked }, ledger, env);
  } catch (error) {
    log("usage batch not posted", { messages: messages.length, attempts: messages[0]?.attempts, error });
    for (const message of messages) {
      retry(message); // of no effect on what is acknowledged already
    }
  } finally {
    ctx.waitUntil(db.close());
  }
}

/** Every message is settled by its own event. One that PostgreSQL cannot read at all is dead; its neighbours are posted. */
async function settle(messages: readonly Message[], posted: Posted, env: Env): Promise<void> {
  const act: Record<Fate, (message: Message) => void | Promise<void>> = {
    settled: (message) => message.ack(),
    reviewed: (message) => message.ack(),
    later: retry,
    async dead(message) {
      await env.DEAD_USAGE.send(message.body);
      message.ack();
    },
  };
  const fates = messages.map((_, i) => fateOf(posted.outcomes[i]));
  const done = await Promise.allSettled(messages.map((message, i) => act[fates[i] as Fate](message)));
  for (const [i, { status }] of done.entries()) {
    if (status === "rejected") {
      retry(messages[i] as Message);
    }
  }
  const unsettled = fates.filter((fate) => fate !== "settled").length;
  if (unsettled > 0) {
    log("usage events not settled", { outcomes: posted.outcomes.filter((_, i) => fates[i] !== "settled") });
  }
}

/**
 * Sends what was posted to be shown, before the batch ends: should this Worker end first, the batch comes again, all of it known, and
 * is shown then. What cannot be sent is the reconciler's to show.
 */
async function show(messages: readonly Message[], posted: Posted & { as_of_ms: number }, ledger: Ledger, env: Env): Promise<void> {
  const { fresh, known } = sortForFeed(
    messages.map(({ body }) => body),
    posted,
  );
  try {
    const uses: Use[] = known.length === 0 ? fresh : [...fresh, ...(await ledger.uses(known))];
    await sendToShow({ feed: env.SHOW_USES, balances: env.SHOW_BALANCES }, { uses, balances: posted.balances, as_of_ms: posted.as_of_ms });
  } catch (error) {
    log("batch not shown", { error });
  }
}

function retry(message: Message): void {
  message.retry({ delaySeconds: retryDelay(message.attempts, firstRetryS) });
}
