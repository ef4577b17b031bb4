import { QUEUES } from "../../shared/src/contract.gen";
import { openDatabase } from "../../shared/src/database";
import type { Env } from "./env.gen";

const { retryDelay } = QUEUES["usage-events-dlq"];

/**
 * Keeps every dead letter in the database, where it stays until a person replays it. While the database is away they wait in their
 * queue. Idempotent by the message's id.
 */
export async function keepDeadLetters(batch: MessageBatch, env: Env): Promise<void> {
  const db = openDatabase(env.DB);
  try {
    const letters = batch.messages.map(({ id, timestamp, attempts, body }) => ({
      id,
      sent_ms: timestamp.getTime(),
      attempts,
      body: asJson(body),
    }));
    await db.query("SELECT ledger.keep_dead_letters($1, $2::text::json)", [batch.queue, JSON.stringify(letters)]);
    batch.ackAll();
  } catch (error) {
    console.error(
      JSON.stringify({ worker: "usage-writer", what: "dead letters not kept", messages: batch.messages.length, cause: String(error) }),
    );
    batch.retryAll({ delaySeconds: retryDelay });
  } finally {
    await db.close();
  }
}

/** Any body as the text of JSON: bytes in base64, and what has no JSON as the words it is printed with. */
export function asJson(body: unknown): string {
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) {
    const bytes = body instanceof ArrayBuffer ? new Uint8Array(body) : new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    return JSON.stringify({ base64: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) });
  }
  try {
    return JSON.stringify(body) ?? "null";
  } catch {
    return JSON.stringify(String(body));
  }
}
