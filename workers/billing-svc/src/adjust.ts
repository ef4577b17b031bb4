import { noted } from "../../shared/src/admin-note";
import { type JsonObject, optionalText, requiredText } from "../../shared/src/body";
import { type Database, openDatabase } from "../../shared/src/database";
import { idOf, uuidv7 } from "../../shared/src/ids";
import { isAccount, maxAccountBytes } from "../../shared/src/money/account";
import { type Balance, balancePayload, stored } from "../../shared/src/money/balance";
import { type Adjusted, type Adjustment, Ledger } from "../../shared/src/money/ledger";
import { microOf } from "../../shared/src/money/micro";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { refill } from "./credits";
import type { Env } from "./env.gen";

/** Beyond this an adjustment is a slip of the keyboard: a thousand million credits. */
const maxMicro = 1e15;

/** Gives, takes or sets credits by an operator's decision; once for each Idempotency-Key. The ledger keeps who, why and what came of it. */
export async function adjust(call: Call<Env>): Promise<Response> {
  if (!call.caller.admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
  const adjustment = await readAdjustment(await call.json(), call.request.headers.get("idempotency-key"));
  const db = openDatabase(call.env.DB);
  const askedMs = Date.now();
  let adjusted: Adjusted;
  try {
    adjusted = await new Ledger(db).adjust(adjustment);
  } catch (error) {
    call.ctx.waitUntil(db.close());
    throw new Problem(503, "ledger_unavailable", "It may have been done: ask again with the same Idempotency-Key.", {
      cause: error,
      headers: { "retry-after": "5" },
    });
  }
  return answer(call, adjusted, adjustment, { db, askedMs });
}

const refusals: Readonly<Record<string, Problem>> = {
  conflict: new Problem(409, "idempotency_conflict", "This Idempotency-Key was used for another adjustment."),
  insufficient: new Problem(409, "below_floor", "It would take the account below its floor."),
};

function answer(
  { ctx, env }: Call<Env>,
  { outcome, applied, balance }: Adjusted,
  adjustment: Adjustment,
  { db, askedMs }: { db: Database; askedMs: number },
): Response {
  const { id, account, set, delta, actor, reason } = adjustment;
  const known = outcome === "posted" || outcome === "unchanged" || outcome === "duplicate";
  if (!known || balance === null) {
    ctx.waitUntil(db.close());
    throw refusals[outcome] ?? new Problem(502, "ledger_failed", undefined, { cause: new Error(`adjust answered ${outcome}`) });
  }
  ctx.waitUntil(refill(env.KV_BILLING, db, balance as Balance, askedMs));
  const told = json({ ...balancePayload(account, stored(balance, askedMs)), id, outcome, applied_credits: applied / 1e6 });
  return noted(told, { account, set_micro: set, delta_micro: delta, outcome, id, by: actor, reason });
}

async function readAdjustment(body: JsonObject, idempotencyKey: string | null): Promise<Adjustment> {
  const account = requiredText(body, "email", maxAccountBytes).trim().toLowerCase();
  if (!isAccount(account)) {
    throw new Problem(400, "invalid_email", `email has a colon or a control character, or is over ${maxAccountBytes} bytes.`);
  }
  const [set, delta] = [amount(body, "set"), amount(body, "delta")];
  if (set !== null && delta !== null) {
    throw new Problem(400, "set_and_delta_conflict", "Give set or delta, not both.");
  }
  if (set === null && delta === null) {
    throw new Problem(400, "nothing_to_do", "Give set or delta.");
  }
  if (idempotencyKey !== null && (idempotencyKey === "" || idempotencyKey.length > 200)) {
    throw new Problem(400, "invalid_idempotency_key", "Idempotency-Key is not a text of 1 to 200 characters.");
  }
  return {
    // Without a key every call is an adjustment of its own.
    id: idempotencyKey === null ? uuidv7(Date.now()) : await idOf("adjust", idempotencyKey),
    account,
    set,
    delta,
    actor: optionalText(body, "actor", 128) ?? "admin",
    reason: optionalText(body, "reason", 512) ?? "",
  };
}

function amount(body: JsonObject, name: "set" | "delta"): number | null {
  const value = body[name];
  if (value === undefined || value === null) {
    return null;
  }
  const micro = typeof value === "number" ? microOf(value) : undefined;
  if (micro === undefined || Math.abs(micro) > maxMicro) {
    throw new Problem(400, `invalid_${name}`, `${name} is not a number of credits with at most 6 decimals, up to 1000000000.`);
  }
  return micro;
}
