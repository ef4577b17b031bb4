import type { Database } from "../../shared/src/database";
import type { Balance } from "../../shared/src/money/balance";
import { Ledger } from "../../shared/src/money/ledger";
import type { Use } from "../../shared/src/money/usage";
import type { Finding } from "./decide";

/** Where the sweeps go on: the last account compared, KV's cursor, and the last use that was looked for. */
export interface Position {
  readonly after_account: number;
  readonly kv_cursor: string | null;
  /** When it was recorded, in microseconds since 1970, and which of those recorded together. */
  readonly uses_from_us: number;
  readonly uses_from_id: string;
}

/** A place in the journal, in the order of recording. */
export interface Place {
  readonly us: number;
  readonly id: string;
}

/** A use, and when the journal took it. */
export interface Recorded extends Use {
  readonly recorded_us: number;
}

/** A walk that takes many passes: through what KV lists of the feed, or through the journal. */
export interface Walk {
  readonly name: "listed" | "journal";
  /** Null: the next pass begins a round. */
  readonly cursor: string | null;
  readonly began_ms: number;
  /** Compared in this round. */
  readonly entries: number;
  /** Of the last whole round; null before there was one. */
  readonly ended_ms: number | null;
  readonly took_ms: number | null;
  readonly of_entries: number | null;
}

export interface Pass {
  readonly started_ms: number;
  readonly ended_ms: number;
  readonly accounts: number;
  readonly entries: number;
  readonly uses: number;
  /** Uses that the feed did not show and shows now. */
  readonly uses_shown: number;
  /** Entries of the feed whose use was looked for. */
  readonly feed_entries: number;
  /** False when the budget ended before every balance that changed lately was compared and made good. */
  readonly complete: boolean;
  readonly position: Position;
  readonly walks: readonly Walk[];
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
      `SELECT after_account::float8 AS after_account, kv_cursor, (extract(epoch FROM uses_from) * 1000000)::float8 AS uses_from_us,
         uses_from_id FROM ledger.reconcile_position`,
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

  /** The walks over the feed, as far as they have gone. */
  walks(): Promise<readonly Walk[]> {
    const ms = (column: string) => `(extract(epoch FROM ${column}_at) * 1000)::float8 AS ${column}_ms`;
    return this.db.query<Walk>(
      `SELECT name, cursor, ${ms("began")}, entries::float8 AS entries, ${ms("ended")}, took_ms::float8 AS took_ms,
         of_entries::float8 AS of_entries FROM ledger.reconcile_walk`,
    );
  }

  /** Uses that the journal recorded after a place and before a time, in that order, and whether there are more. */
  async usesAfter({ us, id }: Place, untilUs: number, limit: number): Promise<{ uses: Recorded[]; more: boolean }> {
    const [row] = await this.db.query<{ found: { uses: Recorded[]; more: boolean } }>(
      "SELECT ledger.uses_after($1::text::bigint, $2::text::uuid, $3::text::bigint, $4::text::int) AS found",
      [String(us), id, String(untilUs), String(limit)],
    );
    return (row as { found: { uses: Recorded[]; more: boolean } }).found;
  }

  /** Uses as the journal has them; those that it does not have are left out. */
  usesOf(ids: readonly string[]): Promise<Use[]> {
    return new Ledger(this.db).uses(ids);
  }

  /** Keys of the feed that were made good since. */
  async repairedSince(sinceMs: number): Promise<string[]> {
    const rows = await this.db.query<{ key: string }>(
      `SELECT DISTINCT key FROM ledger.reconcile_finding
       WHERE found_at >= to_timestamp($1::text::float8 / 1000) AND repaired AND starts_with(key, 'usage:')`,
      [String(sinceMs)],
    );
    return rows.map(({ key }) => key);
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
