import { type Database, openDatabase } from "../../shared/src/database";
import { accountOf } from "../../shared/src/money/account";
import { type Balance, balanceKey, balancePayload, parseBalance, type StoredBalance, stored } from "../../shared/src/money/balance";
import { Ledger } from "../../shared/src/money/ledger";
import { confirmBalance } from "../../shared/src/money/publish";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { isFresh } from "./freshness";

/** A balance, from KV while the copy there can be relied on, else from the ledger. */
export async function credits(call: Call<Env>): Promise<Response> {
  const { caller, env } = call;
  const account = accountOf(caller);
  const copy = parseBalance(await env.KV_BILLING.get(balanceKey(account)));
  if (copy !== undefined && (await isFresh(copy, env.KV_BILLING, Date.now()))) {
    return shownAs(account, copy, "HIT");
  }
  const { shown, stale } = await fromLedger(call, account, copy);
  return shownAs(account, shown, stale ? "STALE" : "MISS");
}

/** An answer says where it comes from: KV's copy, the ledger, or an old copy while the ledger is away. */
function shownAs(account: string, shown: StoredBalance, cache: "HIT" | "MISS" | "STALE"): Response {
  return json(balancePayload(account, shown, cache === "STALE"), 200, { "x-cache": cache });
}

/**
 * When the ledger is away, the last known copy is better than none, and says that it is stale and as of when: the ledger that cannot
 * be reached does not change either, as far as anybody can tell.
 */
async function fromLedger(
  { env, ctx, caller }: Call<Env>,
  account: string,
  copy: StoredBalance | undefined,
): Promise<{ shown: StoredBalance; stale: boolean }> {
  const db = openDatabase(env.DB);
  const askedMs = Date.now();
  let balance: Balance | undefined;
  try {
    balance = await new Ledger(db).balance(account);
  } catch (error) {
    ctx.waitUntil(db.close());
    if (copy === undefined) {
      throw new Problem(503, "balance_unavailable", undefined, { cause: error, headers: { "retry-after": "5" } });
    }
    return { shown: copy, stale: true };
  }
  if (balance === undefined) {
    ctx.waitUntil(db.close());
    return { shown: unopened(account, caller.admin), stale: false };
  }
  ctx.waitUntil(refill(env.KV_BILLING, db, balance, askedMs));
  return { shown: stored(balance, askedMs), stale: false };
}

/** An account is opened by its first use or its first credits; until then its owner has nothing, and to an operator it is unknown. */
function unopened(account: string, admin: boolean): StoredBalance {
  if (admin) {
    throw new Problem(404, "account_unknown", "The ledger has no such account.");
  }
  const now = Date.now();
  return stored({ account, balance: 0, held: 0, overage: 0, version: 0, updated_at_ms: now }, now);
}

export async function refill(kv: KVNamespace, db: Database, balance: Balance, askedMs: number): Promise<void> {
  try {
    await confirmBalance(kv, balance, askedMs, () => new Ledger(db).balance(balance.account));
  } catch (error) {
    console.error(JSON.stringify({ worker: "billing-svc", what: "balance not shown", cause: String(error) }));
  } finally {
    await db.close();
  }
}
