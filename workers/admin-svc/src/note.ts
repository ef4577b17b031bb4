import { type Database, openDatabase } from "../../shared/src/database";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";

const maxLines = 2;

/** Keeps lines of the admin log, in one statement each and in order. Only the gateway can ask: there is no way here from outside. */
export async function note(call: Call<Env>): Promise<Response> {
  const { lines } = await call.json();
  if (!Array.isArray(lines) || lines.length === 0 || lines.length > maxLines) {
    throw new Problem(400, "invalid_lines", "lines is not a list of one or two.");
  }
  const db = openDatabase(call.env.DB);
  try {
    for (const line of lines) {
      await keep(db, line);
    }
  } catch (error) {
    throw new Problem(503, "admin_log_unavailable", undefined, { cause: error, headers: { "retry-after": "5" } });
  } finally {
    call.ctx.waitUntil(db.close());
  }
  return json({ ok: true });
}

function keep(db: Database, line: unknown): Promise<unknown[]> {
  return db.query("SELECT auth.note($1::text::json)", [JSON.stringify(line)]);
}
