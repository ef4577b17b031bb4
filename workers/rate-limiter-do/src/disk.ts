import { type Account, apply, type Change, newAccount, type Taken } from "../../shared/src/limits/budget";
import { type Lease, type Lender, type Lent, noLease, noLender } from "../../shared/src/limits/lease";
import type { Own } from "../../shared/src/limits/limits";
import type { Meter } from "../../shared/src/limits/rate";

/** A call as it lies on disk: held until a time, or closed and known until one. Only a closed one has an excess, which may be 0. */
interface CallRow extends Record<string, SqlStorageValue> {
  id: string;
  micro: number;
  until_ms: number;
  excess: number | null;
}

/** What is accounted for of a call that is held for calls to come. */
interface AdvanceRow extends Record<string, SqlStorageValue> {
  id: string;
  seq: number;
  spent: number;
  used: number;
  unused: number;
}

/** What a limiter keeps on disk. */
export class Disk {
  private readonly sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS spent (one INTEGER PRIMARY KEY CHECK (one = 1), day INTEGER NOT NULL, micro INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, micro INTEGER NOT NULL, until_ms INTEGER NOT NULL, excess INTEGER) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS advances (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, spent INTEGER NOT NULL, used INTEGER NOT NULL, unused INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS meter (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms INTEGER NOT NULL, owed INTEGER NOT NULL, period_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS own (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS lease (one INTEGER PRIMARY KEY CHECK (one = 1), day INTEGER NOT NULL, seq INTEGER NOT NULL, micro INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS lent (shard TEXT PRIMARY KEY, day INTEGER NOT NULL, seq INTEGER NOT NULL, micro INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS ledger (one INTEGER PRIMARY KEY CHECK (one = 1), account TEXT NOT NULL, look_ms INTEGER);
    `);
  }

  account(): Account {
    const account = newAccount();
    const [spent] = this.sql.exec<{ day: number; micro: number }>("SELECT day, micro FROM spent").toArray();
    account.window = spent?.day ?? 0;
    const advances = new Map(
      this.sql
        .exec<AdvanceRow>("SELECT id, seq, spent, used, unused FROM advances")
        .toArray()
        .map(({ id, ...taken }) => [id, taken]),
    );
    for (const row of this.sql.exec<CallRow>("SELECT id, micro, until_ms, excess FROM calls ORDER BY until_ms")) {
      apply(account, { id: row.id, spent: 0, ...callOf(row, advances.get(row.id)) });
    }
    account.spent = spent?.micro ?? 0;
    return account;
  }

  meter(): Meter | undefined {
    const [row] = this.sql.exec<{ at_ms: number; owed: number; period_ms: number }>("SELECT at_ms, owed, period_ms FROM meter").toArray();
    return row && { atMs: row.at_ms, owed: row.owed, periodMs: row.period_ms };
  }

  own(): Own | null {
    const [row] = this.sql.exec<{ json: string }>("SELECT json FROM own").toArray();
    return row === undefined ? null : (JSON.parse(row.json) as Own);
  }

  ledger(): { account: string; lookMs: number | null } | undefined {
    const [row] = this.sql.exec<{ account: string; look_ms: number | null }>("SELECT account, look_ms FROM ledger").toArray();
    return row && { account: row.account, lookMs: row.look_ms };
  }

  lease(): Lease {
    const [row] = this.sql.exec<{ window: number; seq: number; micro: number }>("SELECT day AS window, seq, micro FROM lease").toArray();
    return row ?? noLease;
  }

  keepLease({ window, seq, micro }: Lease): void {
    this.sql.exec("INSERT OR REPLACE INTO lease (one, day, seq, micro) VALUES (1, ?, ?, ?)", window, seq, micro);
  }

  lender(): Lender {
    const rows = this.sql
      .exec<{ shard: string; day: number; seq: number; micro: number }>("SELECT shard, day, seq, micro FROM lent")
      .toArray();
    const window = Math.max(noLender.window, ...rows.map(({ day }) => day));
    return { window, lent: new Map(rows.map(({ shard, day, seq, micro }) => [shard, { seq, micro: day === window ? micro : 0 }])) };
  }

  keepLent(window: number, shard: string, { seq, micro }: Lent): void {
    this.sql.exec("INSERT OR REPLACE INTO lent (shard, day, seq, micro) VALUES (?, ?, ?, ?)", shard, window, seq, micro);
  }

  keepMeter({ atMs, owed, periodMs }: Meter): void {
    this.sql.exec("INSERT OR REPLACE INTO meter (one, at_ms, owed, period_ms) VALUES (1, ?, ?, ?)", atMs, owed, periodMs);
  }

  keepSpent(day: number, micro: number): void {
    this.sql.exec("INSERT OR REPLACE INTO spent (one, day, micro) VALUES (1, ?, ?)", day, micro);
  }

  keepCall({ id, hold, closed }: Change): void {
    const [micro, untilMs] = closed === undefined ? [hold?.micro, hold?.expiresMs] : [closed.micro, closed.forgetMs];
    const row = [id, micro ?? 0, untilMs ?? 0, closed?.excess ?? null];
    this.sql.exec("INSERT OR REPLACE INTO calls (id, micro, until_ms, excess) VALUES (?, ?, ?, ?)", ...row);
    if (hold?.advance !== undefined) {
      const { seq, spent, used, unused } = hold.advance;
      this.sql.exec("INSERT OR REPLACE INTO advances (id, seq, spent, used, unused) VALUES (?, ?, ?, ?, ?)", id, seq, spent, used, unused);
    }
  }

  keepOwn(own: Own | null): void {
    this.sql.exec("DELETE FROM own");
    if (own !== null) {
      this.sql.exec("INSERT INTO own (one, json) VALUES (1, ?)", JSON.stringify(own));
    }
  }

  keepLedger(account: string, lookMs: number | null): void {
    this.sql.exec("INSERT OR REPLACE INTO ledger (one, account, look_ms) VALUES (1, ?, ?)", account, lookMs);
  }

  forget(nowMs: number): void {
    this.sql.exec("DELETE FROM calls WHERE until_ms <= ?", nowMs);
    this.sql.exec("DELETE FROM advances WHERE id NOT IN (SELECT id FROM calls WHERE excess IS NULL)");
  }
}

function callOf({ micro, until_ms: untilMs, excess }: CallRow, advance: Taken | undefined): Pick<Change, "hold" | "closed"> {
  return excess === null
    ? { hold: { micro, expiresMs: untilMs, ...(advance === undefined ? {} : { advance }) } }
    : { closed: { micro, excess, forgetMs: untilMs } };
}
