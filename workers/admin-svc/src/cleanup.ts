import { noted } from "../../shared/src/admin-note";
import { type JsonObject, optionalText } from "../../shared/src/body";
import { readCursor, spellCursor } from "../../shared/src/cursor";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { kinds, type Place, type Plan, sweep } from "./sweep";

const defaults = { days: 30, limit: 500 } as const;
const maxLimit = 5_000;
const dayMs = 86_400_000;

/**
 * Deletes what is old in KV, as far as one call may go: next_cursor says where to go on, and null that all was looked at. The ledger
 * is not touched: it keeps what was used for ever.
 */
export async function cleanup(call: Call<Env>): Promise<Response> {
  const body = await call.json({ optional: true });
  const kind = choice(body);
  const older_than_days = whole(body, "older_than_days", defaults.days, 1, 3650);
  const limit = whole(body, "limit", defaults.limit, 1, maxLimit);
  const dry_run = flag(body, "dry_run");
  const prefix = (optionalText(body, "email_prefix", 320) ?? "").toLowerCase();
  const list = JSON.stringify([kind, prefix]);
  const given = optionalText(body, "cursor", 4096);
  const plan: Plan = {
    lists: kind === "both" ? kinds : [kind],
    prefix,
    before: Date.now() - older_than_days * dayMs,
    limit,
    dryRun: dry_run,
    from: given === undefined ? undefined : readPlace(await readCursor(list, given)),
  };
  const { scanned, deleted, kept, next } = await sweep(call.env.KV_BILLING, plan);
  const next_cursor = next === undefined ? null : await spellCursor(list, JSON.stringify(next));
  const answer = json({
    ok: true,
    dry_run,
    kind,
    older_than_days,
    limit,
    scanned,
    deleted,
    kept,
    complete: next === undefined,
    next_cursor,
  });
  return noted(answer, { dry_run, kind, older_than_days, limit, email_prefix: prefix, deleted });
}

/** Its sum was right, so it is one of ours. */
function readPlace(text: string): Place {
  return JSON.parse(text) as Place;
}

function choice(body: JsonObject): "usage" | "jobs" | "both" {
  const kind = optionalText(body, "kind", 16) ?? "both";
  if (kind !== "usage" && kind !== "jobs" && kind !== "both") {
    throw new Problem(400, "invalid_kind", "kind is not usage, jobs or both.");
  }
  return kind;
}

function whole(body: JsonObject, name: string, otherwise: number, least: number, most: number): number {
  const value = body[name] ?? otherwise;
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    throw new Problem(400, `invalid_${name}`, `${name} is not a whole number from ${least} to ${most}.`);
  }
  return value;
}

function flag(body: JsonObject, name: string): boolean {
  const value = body[name] ?? false;
  if (typeof value !== "boolean") {
    throw new Problem(400, `invalid_${name}`, `${name} is neither true nor false.`);
  }
  return value;
}
