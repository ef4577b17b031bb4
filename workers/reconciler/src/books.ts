import type { Database } from "../../shared/src/database";
import type { Balance } from "../../shared/src/money/balance";
import type { Use } from "../../shared/src/money/usage";
import type { Finding } from "./decide";

/** Where the sweeps go on: the last account compared, KV's cursor, and when the next uses to look for were recorded. */
export interface Position {
  readonly after_account: number;
  readonly kv_cursor: string | null;
  readonly uses_from_ms: number;
}

export interface Pass {
  readonly started_ms: number;
  readonly ended_ms: number;
  readonly accounts: number;
  readonly entries: number;
  readonly uses: number;
  /** Uses that the feed did not show and shows now. */
  readonly uses_shown: number;
  /** False when the budget ended before every balance that changed lately was compared and made good. */
  readonly complete: boolean;
  readonly position: Position;
  readonly findings: readonly (Omit<Finding, "after"> & { readonly after: unknown; readonly repaired: boolean })[];
}

/** What the reconciler asks of the ledger, and the record it keeps there. */
export class Books {
  private readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  /** Where the pass before this one stopped; undefined before the first. */
  async position(): Promise<Position | undefined> {
    const [row] = await this.db.query<Position>(
      `SELECT after_account::float8 AS after_account, kv_cursor, (extract(epoch FROM uses_from) * 1000)::float8 AS uses_from_ms
       FROM ledger.reconcile_position`,
    );
    return row;
  }

  /** Balances that changed at this time or later, those that changed first first. */
  changedSince(sinceMs: number, limit: number): Promise<Balance[]> {
    return this.balances(
      "SELECT account_id FROM ledger.balance WHERE updated_at >= to_timestamp($1::text::float8 / 1000) ORDER BY updated_at, account_id LIMIT $2::text::int",
      [String(sinceMs), String(limit)],
    );
  }

  /** The next accounts by their number, and the number that the next page begins after: 0 when this was the last. */
  async accountsAfter(account: number, limit: number): Promise<{ balances: Balance[]; next: number }> {
    const [row] = await this.db.query<{ balances: Balance[]; last: number | null; n: number }>(
      `WITH page AS (SELECT account_id FROM ledger.balance WHERE account_id > $1::text::bigint ORDER BY account_id LIMIT $2::text::int)
       SELECT ledger.balances_json(ARRAY(SELECT account_id FROM page)) AS balances, (SELECT max(account_id)::float8 FROM page) AS last,
         (SELECT count(*)::int FROM page) AS n`,
      [String(account), String(limit)],
    );
    const { balances, last, n } = row as { balances: Balance[]; last: number | null; n: number };
    return { balances, next: n < limit ? 0 : (last ?? 0) };
  }

  /** What these accounts have now; those that the ledger does not know are left out. */
  of(accounts: readonly string[]): Promise<Balance[]> {
    return this.balances(
      "SELECT id FROM ledger.account WHERE kind = 'customer' AND ref IN (SELECT json_array_elements_text($1::text::json))",
      [JSON.stringify(accounts)],
    );
  }

  /** Usage that the journal recorded at this time or later, oldest first, and when the last of it was recorded. */
  async usesSince(sinceMs: number, limit: number): Promise<{ uses: Use[]; last_ms: number | null }> {
    const [row] = await this.db.query<{ uses: Use[]; last_ms: number | null }>(
      `SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'account', a.ref, 'amount', t.amount,
         'at_ms', (extract(epoch FROM t.occurred_at) * 1000)::bigint, 'meta', t.meta)), '[]') AS uses,
         (extract(epoch FROM max(t.recorded_at)) * 1000)::float8 AS last_ms
       FROM (SELECT * FROM ledger.transfer WHERE recorded_at >= to_timestamp($1::text::float8 / 1000) AND kind = 'usage'
             ORDER BY recorded_at LIMIT $2::text::int) t
       JOIN ledger.account a ON a.id = coalesce(t.owed_by, t.debit_id)`,
      [String(sinceMs), String(limit)],
    );
    return row as { uses: Use[]; last_ms: number | null };
  }

  /** Keeps what a pass found and did, and where the next one goes on. */
  async record(pass: Pass): Promise<void> {
    await this.db.query("SELECT ledger.record_reconciliation($1::text::json)", [JSON.stringify(pass)]);
  }

  private async balances(ids: string, parameters: readonly string[]): Promise<Balance[]> {
    const [row] = await this.db.query<{ balances: Balance[] }>(`SELECT ledger.balances_json(ARRAY(${ids})) AS balances`, parameters);
    return (row as { balances: Balance[] }).balances;
  }
}
