import { type JsonObject, optionalText } from "../../shared/src/body";
import { AUTH } from "../../shared/src/contract.gen";
import { isUuid } from "../../shared/src/ids";
import { priceOf } from "../../shared/src/money/micro";
import { USAGE_TTL_DAYS, USAGE_VERSION, type UsageEvent, type UsageMeta } from "../../shared/src/money/usage";
import { Problem } from "../../shared/src/problem";

/** More than any model takes in one call; what is above it is a mistake. */
const maxTokens = 10_000_000;
const maxNotes = 16;
const maxNote = 256;

/** What only the platform's own producers may say, who act with the admin key: users have their ids and times from us. */
export interface Provenance {
  readonly id: string | undefined;
  readonly atMs: number;
}

/** Reads id and created_at of a producer of the platform. */
export function readProvenance(body: JsonObject, nowMs: number): Provenance {
  const id = optionalText(body, "id", 36);
  if (id !== undefined && !isUuid(id)) {
    throw new Problem(400, "invalid_id", "id is not a UUID.");
  }
  const created = optionalText(body, "created_at", 40);
  const atMs = created === undefined ? nowMs : Date.parse(created);
  if (!(atMs <= nowMs + AUTH.clockSkew * 1000 && atMs > nowMs - USAGE_TTL_DAYS * 86_400_000)) {
    throw new Problem(400, "invalid_created_at", `created_at is not a time of the last ${USAGE_TTL_DAYS} days: check the clock.`);
  }
  return { id: id?.toLowerCase(), atMs };
}

/** Makes an event of what a caller used. Whatever it says of a cost is not looked at: what usage costs is ours to say. */
export function usageEvent(body: JsonObject, who: { id: string; account: string; atMs: number; requestId: string }): UsageEvent {
  const tokens_in = tokens(body, "tokens_in");
  const tokens_out = tokens(body, "tokens_out");
  if (tokens_in + tokens_out === 0) {
    throw new Problem(400, "nothing_used", "tokens_in and tokens_out are both 0.");
  }
  const meta: UsageMeta = {
    ...notes(body.meta),
    route: optionalText(body, "route", maxNote) ?? "",
    tokens_in,
    tokens_out,
    request_id: who.requestId,
  };
  return {
    v: USAGE_VERSION,
    id: who.id,
    kind: "usage",
    account: who.account,
    amount: priceOf(tokens_in + tokens_out),
    at_ms: who.atMs,
    meta,
  };
}

function tokens(body: JsonObject, name: "tokens_in" | "tokens_out"): number {
  const value = body[name] ?? 0;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > maxTokens) {
    throw new Problem(400, `invalid_${name}`, `${name} is not a whole number from 0 to ${maxTokens}.`);
  }
  return value;
}

/** Notes are kept as they are given: short texts, numbers, and yes or no. */
function notes(meta: unknown): Record<string, string | number | boolean> {
  if (meta === undefined || meta === null) {
    return {};
  }
  const entries = typeof meta === "object" && !Array.isArray(meta) ? Object.entries(meta) : undefined;
  if (entries === undefined || entries.length > maxNotes || !entries.every(([name, note]) => isNote(name) && isNote(note))) {
    throw new Problem(
      400,
      "invalid_meta",
      `meta is not an object of at most ${maxNotes} texts of ${maxNote} characters, numbers or booleans.`,
    );
  }
  return Object.fromEntries(entries) as Record<string, string | number | boolean>;
}

function isNote(note: unknown): boolean {
  return typeof note === "number" || typeof note === "boolean" || (typeof note === "string" && note.length <= maxNote);
}
