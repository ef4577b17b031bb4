import { type Account, newAccount } from "../../shared/src/limits/budget";
import type { Own } from "../../shared/src/limits/limits";
import type { Meter } from "../../shared/src/limits/rate";

/** What a limiter keeps on disk, a row a thing. */
export class Disk {
  private readonly sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS spent (one INTEGER PRIMARY KEY CHECK (one = 1), day INTEGER NOT NULL, micro INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS holds (id TEXT PRIMARY KEY, micro INTEGER NOT NULL, expires_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS closed (id TEXT PRIMARY KEY, micro INTEGER NOT NULL, excess INTEGER NOT NULL, forget_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS meter (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms INTEGER NOT NULL, owed INTEGER NOT NULL, period_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS own (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS ledger (one INTEGER PRIMARY KEY CHECK (one = 1), account TEXT NOT NULL, look_ms INTEGER);
    `);
  }

  account(): Account {
    const [spent] = this.sql.exec<{ day: number; micro: number }>("SELECT day, micro FROM spent").toArray();
    if (spent === undefined) {
      return newAccount;
    }
    const holds = this.sql.exec<{ id: string; micro: number; expires_ms: number }>("SELECT id, micro, expires_ms FROM holds").toArray();
    const closed = this.sql
      .exec<{ id: string; micro: number; excess: number; forget_ms: number }>("SELECT id, micro, excess, forget_ms FROM closed")
      .toArray();
    return {
      window: spent.day,
      spent: spent.micro,
      holds: new Map(holds.map((row) => [row.id, { micro: row.micro, expiresMs: row.expires_ms }])),
      closed: new Map(closed.map((row) => [row.id, { micro: row.micro, excess: row.excess, forgetMs: row.forget_ms }])),
    };
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

  keepMeter({ atMs, owed, periodMs }: Meter): void {
    this.sql.exec("INSERT OR REPLACE INTO meter (one, at_ms, owed, period_ms) VALUES (1, ?, ?, ?)", atMs, owed, periodMs);
  }

  keepSpent({ window, spent }: Account): void {
    this.sql.exec("INSERT OR REPLACE INTO spent (one, day, micro) VALUES (1, ?, ?)", window, spent);
  }

  /** What an account says of one id. */
  keepCall(account: Account, id: string): void {
    const hold = account.holds.get(id);
    if (hold === undefined) {
      this.sql.exec("DELETE FROM holds WHERE id = ?", id);
    } else {
      this.sql.exec("INSERT OR REPLACE INTO holds (id, micro, expires_ms) VALUES (?, ?, ?)", id, hold.micro, hold.expiresMs);
    }
    const done = account.closed.get(id);
    if (done !== undefined) {
      const row = [id, done.micro, done.excess, done.forgetMs];
      this.sql.exec("INSERT OR REPLACE INTO closed (id, micro, excess, forget_ms) VALUES (?, ?, ?, ?)", ...row);
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
    this.sql.exec("DELETE FROM holds WHERE expires_ms <= ?", nowMs);
    this.sql.exec("DELETE FROM closed WHERE forget_ms <= ?", nowMs);
  }
}
