import { DurableObject } from "cloudflare:workers";

import { type Account, type Budget, newAccount, nextMs, passed, type Reserved, reserve, type Settled, settle } from "./budget";
import { decideRate, type Meter, type Rate, type RateDecision } from "./rate";

/**
 * Keeps the rate and the budget of one caller. An object is one thread, and none of the calls waits for anything between reading and
 * writing, so decisions follow one another; no answer leaves before what it says is on disk. Callers leave the
 * time out: clocks differ, and one that is ahead would end the holds of others.
 */
export class Limiter extends DurableObject {
  #account: Account;
  #meter: Meter | undefined;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS spent (one INTEGER PRIMARY KEY CHECK (one = 1), day INTEGER NOT NULL, micro INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS holds (id TEXT PRIMARY KEY, micro INTEGER NOT NULL, expires_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS closed (id TEXT PRIMARY KEY, micro INTEGER NOT NULL, excess INTEGER NOT NULL, forget_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS meter (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms INTEGER NOT NULL, owed INTEGER NOT NULL, period_ms INTEGER NOT NULL);
    `);
    this.#account = accountIn(sql);
    this.#meter = meterIn(sql);
  }

  take(rate: Rate, weight: number, nowMs = Date.now()): RateDecision {
    const decision = decideRate(rate, this.#meter, nowMs, weight);
    const { atMs, owed, periodMs } = decision.meter;
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO meter (one, at_ms, owed, period_ms) VALUES (1, ?, ?, ?)", atMs, owed, periodMs);
    this.#meter = decision.meter;
    return decision;
  }

  async reserve(budget: Budget, id: string, micro: number, nowMs = Date.now()): Promise<Omit<Reserved, "account">> {
    const { account, ...answer } = reserve(budget, this.#account, nowMs, id, micro);
    this.#keep(account, id, nowMs);
    await this.#wake();
    return answer;
  }

  /** What a call did cost; 0 gives back all that was held for it. */
  async settle(budget: Budget, id: string, micro: number, nowMs = Date.now()): Promise<Omit<Settled, "account">> {
    const { account, ...answer } = settle(budget, this.#account, nowMs, id, micro);
    this.#keep(account, id, nowMs);
    await this.#wake();
    return answer;
  }

  /** Decisions look at the time themselves: the alarm is there so that what has expired does not lie on disk for ever. */
  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    this.#forget(nowMs);
    // The window stays as it is: the next decision, which knows the budget, turns it.
    this.#account = passed({ micro: 0, windowMs: Number.MAX_SAFE_INTEGER, holdMs: 0, rememberMs: 0 }, this.#account, nowMs);
    await this.#wake();
  }

  /** Memory follows the disk: a write that fails leaves both as they were. */
  #keep(account: Account, id: string, nowMs: number): void {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      this.#forget(nowMs);
      storage.sql.exec("INSERT OR REPLACE INTO spent (one, day, micro) VALUES (1, ?, ?)", account.window, account.spent);
      storage.sql.exec("DELETE FROM holds WHERE id = ?", id);
      const hold = account.holds.get(id);
      if (hold !== undefined) {
        storage.sql.exec("INSERT INTO holds (id, micro, expires_ms) VALUES (?, ?, ?)", id, hold.micro, hold.expiresMs);
      }
      const done = account.closed.get(id);
      if (done !== undefined) {
        const row = [id, done.micro, done.excess, done.forgetMs];
        storage.sql.exec("INSERT OR REPLACE INTO closed (id, micro, excess, forget_ms) VALUES (?, ?, ?, ?)", ...row);
      }
    });
    this.#account = account;
  }

  #forget(nowMs: number): void {
    this.ctx.storage.sql.exec("DELETE FROM holds WHERE expires_ms <= ?", nowMs);
    this.ctx.storage.sql.exec("DELETE FROM closed WHERE forget_ms <= ?", nowMs);
  }

  async #wake(): Promise<void> {
    const at = nextMs(this.#account);
    const set = await this.ctx.storage.getAlarm();
    if (at !== undefined && (set === null || set > at)) {
      await this.ctx.storage.setAlarm(at);
    }
  }
}

function accountIn(sql: SqlStorage): Account {
  const [spent] = sql.exec<{ day: number; micro: number }>("SELECT day, micro FROM spent").toArray();
  if (spent === undefined) {
    return newAccount;
  }
  const holds = sql.exec<{ id: string; micro: number; expires_ms: number }>("SELECT id, micro, expires_ms FROM holds").toArray();
  const closed = sql
    .exec<{ id: string; micro: number; excess: number; forget_ms: number }>("SELECT id, micro, excess, forget_ms FROM closed")
    .toArray();
  return {
    window: spent.day,
    spent: spent.micro,
    holds: new Map(holds.map((row) => [row.id, { micro: row.micro, expiresMs: row.expires_ms }])),
    closed: new Map(closed.map((row) => [row.id, { micro: row.micro, excess: row.excess, forgetMs: row.forget_ms }])),
  };
}

function meterIn(sql: SqlStorage): Meter | undefined {
  const [row] = sql.exec<{ at_ms: number; owed: number; period_ms: number }>("SELECT at_ms, owed, period_ms FROM meter").toArray();
  return row && { atMs: row.at_ms, owed: row.owed, periodMs: row.period_ms };
}
