import { BadData, type Database } from "../database";
import type { Balance } from "./balance";
import type { Use } from "./usage";

/** What became of each event of a batch, in order, and what the accounts named have now. */
export interface Posted {
  readonly outcomes: readonly string[];
  readonly balances: readonly Balance[];
}

/** PostgreSQL could not read it at all; it is not in the ledger's review either. */
export const UNREADABLE = "unreadable";

export interface Adjustment {
  readonly id: string;
  readonly account: string;
  readonly set: number | null;
  readonly delta: number | null;
  readonly actor: string;
  readonly reason: string;
}

export interface Adjusted {
  readonly outcome: string;
  readonly applied: number;
  readonly balance: Balance | null;
}

/** The ledger's functions, over one connection. */
export class Ledger {
  private readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  /**
   * Posts events in one statement, opening accounts as they are first named. Should the statement be refused for its data, the batch
   * is halved until what is to blame stands alone: its neighbours are posted.
   */
  async post(events: readonly unknown[]): Promise<Posted> {
    try {
      const [row] = await this.db.query<{ posted: Posted }>("SELECT ledger.post_batch($1::text::json, true) AS posted", [asJson(events)]);
      return (row as { posted: Posted }).posted;
    } catch (error) {
      if (!(error instanceof BadData)) {
        throw error;
      }
      return events.length === 1 ? { outcomes: [UNREADABLE], balances: [] } : this.postHalves(events);
    }
  }

  private async postHalves(events: readonly unknown[]): Promise<Posted> {
    const middle = events.length >> 1;
    const first = await this.post(events.slice(0, middle));
    const second = await this.post(events.slice(middle));
    return { outcomes: [...first.outcomes, ...second.outcomes], balances: newest([...first.balances, ...second.balances]) };
  }

  /** Uses as the journal has them: what an id that is known was first posted with. */
  async uses(ids: readonly string[]): Promise<Use[]> {
    const [row] = await this.db.query<{ uses: Use[] }>(
      `SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'account', a.ref, 'amount', t.amount,
         'at_ms', (extract(epoch FROM t.occurred_at) * 1000)::bigint, 'meta', t.meta)), '[]') AS uses
       FROM ledger.transfer t JOIN ledger.account a ON a.id = coalesce(t.owed_by, t.debit_id)
       WHERE t.kind = 'usage' AND t.id IN (SELECT e::uuid FROM json_array_elements_text($1::text::json) e)`,
      [JSON.stringify(ids)],
    );
    return (row as { uses: Use[] }).uses;
  }

  /** What an account has, or undefined for one that the ledger does not know. */
  async balance(account: string): Promise<Balance | undefined> {
    const [row] = await this.db.query<{ balance: Balance | null }>(
      "SELECT ledger.balances_json(ARRAY(SELECT id FROM ledger.account WHERE ref = $1 AND kind = 'customer')) -> 0 AS balance",
      [account],
    );
    return row?.balance ?? undefined;
  }

  /** What an account was charged for uses of a time, in micro-credits: what it owes beyond its floor too. */
  async usedBetween(account: string, fromMs: number, toMs: number): Promise<number> {
    const [row] = await this.db.query<{ used: string }>(
      `SELECT coalesce(sum(t.amount), 0)::text AS used FROM ledger.account a, LATERAL (
         SELECT amount, kind, occurred_at FROM ledger.transfer WHERE debit_id = a.id
         UNION ALL SELECT amount, kind, occurred_at FROM ledger.transfer WHERE owed_by = a.id) t
       WHERE a.ref = $1 AND a.kind = 'customer' AND t.kind = 'usage'
         AND t.occurred_at >= to_timestamp($2::text::float8 / 1000) AND t.occurred_at < to_timestamp($3::text::float8 / 1000)`,
      [account, String(fromMs), String(toMs)],
    );
    return Number(row?.used ?? 0);
  }

  /** Gives, takes or sets credits, once for each id. */
  async adjust({ id, account, set, delta, actor, reason }: Adjustment): Promise<Adjusted> {
    const [row] = await this.db.query<{ adjusted: Adjusted }>(
      "SELECT ledger.adjust($1::text::uuid, $2, $3::text::bigint, $4::text::bigint, $5, $6) AS adjusted",
      [id, account, set === null ? null : String(set), delta === null ? null : String(delta), actor, reason],
    );
    return (row as { adjusted: Adjusted }).adjusted;
  }
}

/** A queue carries more than JSON can say, such as big integers. */
function asJson(events: readonly unknown[]): string {
  try {
    return JSON.stringify(events);
  } catch (error) {
    throw new BadData("an event has no JSON", { cause: error });
  }
}

/** One balance an account, the newest. */
export function newest(balances: readonly Balance[]): Balance[] {
  const byAccount = new Map<string, Balance>();
  for (const balance of balances) {
    if ((byAccount.get(balance.account)?.version ?? -1) < balance.version) {
      byAccount.set(balance.account, balance);
    }
  }
  return [...byAccount.values()];
}
