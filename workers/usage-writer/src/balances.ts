import type { Balance } from "../../shared/src/money/balance";
import { newest } from "../../shared/src/money/ledger";
import { publishBalances } from "../../shared/src/money/publish";
import type { Env } from "./env.gen";
import { log } from "./log";
import { Pace } from "./pace";
import { asOfMs, balancesOf } from "./show";

/** A Worker may make a thousand calls to KV; reading takes one for a hundred keys. */
const maxWrites = 900;

const pace = new Pace();

/**
 * Shows the newest balance that a batch of messages names of each account. One batch is in work at a time, so no balance overtakes
 * another. A message that has the newest balance of an account that must wait waits in its queue.
 */
export async function showBalances(batch: MessageBatch, env: Env): Promise<void> {
  const told = batch.messages.map(({ body }) => balancesOf(body));
  const latest = newest(told.flat());
  const now = Date.now();
  const due = pace.admit(latest, now, maxWrites);
  const asOf = new Map(batch.messages.flatMap((message, i) => (told[i] as Balance[]).map((balance) => [balance, asOfMs(message)])));
  const failed = new Set(await publishBalances(env.KV_BILLING, due, (balance) => asOf.get(balance) ?? now));
  if (failed.size > 0) {
    log("balances not shown", { failed: failed.size });
  }
  const shown = new Set(due.filter(({ account }) => !failed.has(account)));
  const waiting = new Set(latest.filter((balance) => !shown.has(balance)));
  for (const [i, message] of batch.messages.entries()) {
    if ((told[i] as Balance[]).some((balance) => waiting.has(balance))) {
      message.retry();
    } else {
      message.ack();
    }
  }
}
