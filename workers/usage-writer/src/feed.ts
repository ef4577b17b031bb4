import { feedEntry, putFeedEntry } from "../../shared/src/money/usage";
import type { Env } from "./env.gen";
import { log } from "./log";
import { usesOf } from "./show";

/**
 * Shows uses in their accounts' feeds. An entry has the same bytes whoever writes it, and whenever: batches may pass each other, and
 * a message is tried again until every entry of it is written.
 */
export async function showUses(batch: MessageBatch, env: Env): Promise<void> {
  for (const message of batch.messages) {
    const failed = await writeEntries(env.KV_BILLING, message.body);
    if (failed === 0) {
      message.ack();
    } else {
      log("feed entries not shown", { failed, attempts: message.attempts });
      message.retry();
    }
  }
}

/** As many calls as Cloudflare has under way at once for one invocation: more would only wait in line, in memory. */
const lanes = 6;

/** Answers how many were not written. */
async function writeEntries(kv: KVNamespace, body: unknown): Promise<number> {
  const now = Date.now();
  const entries = usesOf(body).flatMap((use) => feedEntry(use, now) ?? []);
  let failed = 0;
  const write = async () => {
    for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
      await putFeedEntry(kv, entry).catch(() => failed++);
    }
  };
  await Promise.all(Array.from({ length: lanes }, write));
  return failed;
}
