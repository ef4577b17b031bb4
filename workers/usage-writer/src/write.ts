import { QUEUES } from "../../shared/src/contract.gen";
import { openDatabase } from "../../shared/src/database";
import type { Balance } from "../../shared/src/money/balance";
import { Ledger, type Posted } from "../../shared/src/money/ledger";
import { publishBalances } from "../../shared/src/money/publish";
import { feedEntry, putFeedEntry, type Use } from "../../shared/src/money/usage";
import type { Env } from "./env.gen";
import { gapMs, Pace } from "./pace";
import { type Fate, fateOf, isNewer, retryDelay, sortForFeed } from "./sort";

const { retryDelay: firstRetryS } = QUEUES["usage-events"];

const pace = new Pace();

/**
 * Posts a batch of usage to the ledger in one statement, then shows it in KV. Idempotent by each event's id: what is delivered twice
 * adds nothing. A message is acknowledged as soon as the ledger has it, and by nothing else: KV can be made again from the ledger.
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
    const posted = await ledger.post(messages.map(({ body }) => body));
    await settle(messages, posted, env);
    await show(messages, posted, { env, ctx, ledger });
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

/** Balances are written before the batch ends, so that one batch's cannot pass another's; the feed's entries may come in any order. */
async function show(
  messages: readonly Message[],
  posted: Posted,
  { env, ctx, ledger }: { env: Env; ctx: ExecutionContext; ledger: Ledger },
) {
  const { fresh, known } = sortForFeed(
    messages.map(({ body }) => body),
    posted,
  );
  const now = Date.now();
  try {
    const uses: Use[] = known.length === 0 ? fresh : [...fresh, ...(await ledger.uses(known))];
    ctx.waitUntil(showUses(env.KV_BILLING, uses, now));
    await showBalances(env.KV_BILLING, pace.admit(posted.balances, now), now);
    if (pace.held > 0) {
      // The last of a burst has no batch after it that would let the rest through.
      ctx.waitUntil(showHeld(env.KV_BILLING));
    }
  } catch (error) {
    log("batch not shown", { error }); // the ledger has it; the reconciler shows it
  }
}

/** Runs on after the batch is acknowledged (queue_consumer_no_wait_for_wait_until), so the next one does not wait for it. */
async function showHeld(kv: KVNamespace): Promise<void> {
  await scheduler.wait(gapMs);
  const now = Date.now();
  try {
    await showBalances(kv, pace.admit([], now), now);
  } catch (error) {
    log("balances not shown", { error });
  }
}

async function showBalances(kv: KVNamespace, balances: readonly Balance[], now: number): Promise<void> {
  const failed = await publishBalances(kv, balances, now);
  if (failed.length > 0) {
    log("balances not shown", { failed: failed.length });
  }
}

async function showUses(kv: KVNamespace, uses: readonly Use[], now: number): Promise<void> {
  const entries = uses.map((use) => feedEntry(use, now)).filter((entry) => entry !== undefined);
  const written = await Promise.allSettled(entries.map((entry) => putFeedEntry(kv, entry)));
  const failed = written.filter(({ status }) => status === "rejected").length;
  if (failed > 0) {
    log("feed entries not shown", { failed });
  }
}

function retry(message: Message): void {
  message.retry({ delaySeconds: retryDelay(message.attempts, firstRetryS) });
}

function log(what: string, facts: Record<string, unknown>): void {
  const { error, ...rest } = facts;
  const cause = error instanceof Error ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ""}` : undefined;
  console.error(JSON.stringify({ worker: "usage-writer", what, ...rest, cause }));
}
