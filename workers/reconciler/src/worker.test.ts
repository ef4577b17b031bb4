import { env, SELF } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { type Balance, balanceKey, parseBalance, stored } from "../../shared/src/money/balance";
import { readMark } from "../../shared/src/money/mark";
import type { Use } from "../../shared/src/money/usage";
import { admin, user } from "../../shared/src/testing/callers";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import type { Pass, Place, Position, Walk } from "./books";
import { compare, compareAgain, foreign, inFlightMs, tellableMs } from "./decide";
import type { Env } from "./env.gen";
import { budget, type LedgerBooks, reconcile } from "./pass";

describeEveryWorker("reconciler");

const kv = (env as unknown as Env).KV_BILLING;
const longAgo = Date.now() - 3_600_000;
const balance = (account: string, version: number, micro: number, updated_at_ms = longAgo): Balance => ({
  account,
  balance: micro,
  held: 0,
  overage: 0,
  version,
  updated_at_ms,
});
const text = (b: Balance) => JSON.stringify(stored(b, b.updated_at_ms));

/** A ledger in memory that answers as the real one does, with whatever happens between two questions. */
class Memory implements LedgerBooks {
  readonly balances = new Map<string, Balance>();
  readonly passes: Pass[] = [];
  uses: (Use & { recorded_ms: number })[] = [];
  meanwhile: (() => Promise<void>) | undefined;
  private at: Position | undefined;
  private going: readonly Walk[] = [];

  set(b: Balance): Balance {
    this.balances.set(b.account, b);
    return b;
  }

  async position() {
    return this.at;
  }

  async changedSince(sinceMs: number, limit: number) {
    return [...this.balances.values()].filter((b) => b.updated_at_ms >= sinceMs).slice(0, limit);
  }

  async accountsAfter(account: number, limit: number) {
    const page = [...this.balances.values()].slice(account, account + limit);
    return { balances: page, next: page.length < limit ? 0 : account + limit };
  }

  async of(accounts: readonly string[]) {
    await this.meanwhile?.();
    return accounts.flatMap((account) => this.balances.get(account) ?? []);
  }

  async walks() {
    return this.going;
  }

  async usesAfter({ us, id }: Place, untilUs: number, limit: number) {
    const order = (a: Place, b: Place) => a.us - b.us || (a.id < b.id ? -1 : 1);
    const after = this.uses
      .map((use) => ({ ...use, recorded_us: use.recorded_ms * 1000 }))
      .filter((use) => use.recorded_us < untilUs && order({ us: use.recorded_us, id: use.id }, { us, id }) > 0 && use.id !== id)
      .sort((a, b) => order({ us: a.recorded_us, id: a.id }, { us: b.recorded_us, id: b.id }));
    return { uses: after.slice(0, limit), more: after.length >= limit };
  }

  async usesOf(ids: readonly string[]) {
    return this.uses.filter(({ id }) => ids.includes(id));
  }

  async repairedSince(sinceMs: number) {
    return this.passes
      .filter(({ ended_ms }) => ended_ms >= sinceMs)
      .flatMap(({ findings }) => findings.filter(({ repaired, key }) => repaired && key.startsWith("usage:")).map(({ key }) => key));
  }

  async record(pass: Pass) {
    this.passes.push(pass);
    this.at = pass.position;
    this.going = pass.walks;
  }
}

beforeEach(async () => {
  for (const { name } of (await kv.list()).keys) {
    await kv.delete(name);
  }
});

describe("a difference", () => {
  const now = Date.now();
  const ledger = balance("ada@example.test", 5, 7000, now - 60_000);
  const key = balanceKey(ledger.account);

  it.each([
    ["missing", null, /no entry/],
    ["old", text(balance("ada@example.test", 4, 9000)), /version 4 .* ledger has 5/],
    ["wrong", text({ ...ledger, balance: 9_000_000 }), /changed by hand/],
    ["ahead", text({ ...ledger, version: 6 }), /version 6, the ledger has 5/],
    ["unreadable", '{"balance_credits":5,"updated_at":"2025-01-01T00:00:00.000Z"}', /platform before/],
    ["unreadable", "{", /by hand/],
  ])("is %s, and says why", (kind, before, why) => {
    expect(compare(key, ledger, before, now)).toEqual({ key, kind, why: expect.stringMatching(why), before, after: ledger });
  });

  it("is none when they agree", () => {
    expect(compare(key, ledger, text(ledger), now)).toBeUndefined();
  });

  it.each([
    ["is missing", null],
    ["is old", text(balance("ada@example.test", 4, 1))],
  ])("that %s can be told when the writer had its time, and is none when what was missed has arrived", (_, before) => {
    const first = compare(key, ledger, before, now) ?? expect.unreachable();
    expect(tellableMs(first)).toBe(ledger.updated_at_ms + inFlightMs);
    const moved = { ...ledger, version: 7, updated_at_ms: now };
    expect(compareAgain(first, moved, text(ledger), now)).toBeUndefined();
    expect(compareAgain(first, moved, text({ ...ledger, version: 6 }), now)).toBeUndefined();
    expect(compareAgain(first, moved, before, now)?.after).toEqual(moved); // it changes all the time, and nothing arrives
    expect(compareAgain(first, ledger, text({ ...ledger, balance: 1 }), now)?.kind).toBe("wrong");
    expect(compareAgain(first, ledger, text({ ...ledger, version: 9 }), now)?.kind).toBe("ahead");
  });

  it("can be told at once when no writer makes it", () => {
    const fresh = { ...ledger, updated_at_ms: now };
    for (const no of [text({ ...fresh, balance: 1 }), text({ ...fresh, version: 6 }), "{"]) {
      expect(tellableMs(compare(key, fresh, no, now) ?? expect.unreachable())).toBe(0);
    }
    expect(tellableMs(foreign(key, null))).toBe(0);
  });

  it("is foreign when the ledger has no such account", () => {
    expect(foreign("balance:ghost@example.test", "{}").why).toMatch(/platform before/);
    expect(foreign("balance:ghost@example.test", text(ledger)).why).toMatch(/restored/);
  });
});

describe("a pass", () => {
  it("finds what is missing, old, wrong, ahead, unreadable and foreign; makes it good, keeps what was there, and says why", async () => {
    const books = new Memory();
    const planted: Record<string, [Balance | undefined, string | null]> = {
      "missing@x.test": [balance("missing@x.test", 2, 20), null],
      "old@x.test": [balance("old@x.test", 3, 30), text(balance("old@x.test", 2, 99))],
      "wrong@x.test": [balance("wrong@x.test", 4, 40), text(balance("wrong@x.test", 4, 4_000_000))],
      "ahead@x.test": [balance("ahead@x.test", 5, 50), text(balance("ahead@x.test", 50, 50))],
      "unreadable@x.test": [balance("unreadable@x.test", 6, 60), "junk"],
      "foreign@x.test": [undefined, text(balance("foreign@x.test", 7, 7_000_000))],
      "right@x.test": [balance("right@x.test", 8, 80), text(balance("right@x.test", 8, 80))],
    };
    for (const [account, [ledger, held]] of Object.entries(planted)) {
      if (ledger !== undefined) {
        books.set(ledger);
      }
      if (held !== null) {
        await kv.put(balanceKey(account), held);
      }
    }
    const pass = await reconcile(kv, books);
    expect(Object.fromEntries(pass.findings.map(({ key, kind, repaired }) => [key, [kind, repaired]]))).toEqual(
      Object.fromEntries(
        ["missing", "old", "wrong", "ahead", "unreadable", "foreign"].map((kind) => [`balance:${kind}@x.test`, [kind, true]]),
      ),
    );
    expect(pass.findings.find(({ kind }) => kind === "foreign")?.before).toBe(planted["foreign@x.test"]?.[1]);
    for (const [account, [ledger]] of Object.entries(planted)) {
      expect(parseBalance(await kv.get(balanceKey(account)))?.version).toBe(ledger?.version);
    }
    expect(books.passes).toEqual([pass]);
    const again = await reconcile(kv, books);
    expect([again.findings, again.complete]).toEqual([[], true]);
  });

  it("repairs by what the ledger says now, when the writer works at the same moment", async () => {
    const books = new Memory();
    books.set(balance("race@x.test", 5, 50));
    await kv.put(balanceKey("race@x.test"), text(balance("race@x.test", 4, 40)));
    // Between the comparison and the repair the writer commits version 6 and shows it.
    books.meanwhile = async () => {
      books.meanwhile = undefined;
      await kv.put(balanceKey("race@x.test"), text(books.set(balance("race@x.test", 6, 60))));
    };
    const pass = await reconcile(kv, books);
    expect(parseBalance(await kv.get(balanceKey("race@x.test")))?.version).toBe(6);
    expect(pass.findings).toEqual([]);
  });

  it("repairs an account that changes all the time and whose changes do not arrive, and leaves one whose do", async () => {
    const books = new Memory();
    const cold = text(balance("cold@x.test", 1, 1));
    const warm = text(balance("warm@x.test", 1, 1));
    await Promise.all([kv.put(balanceKey("cold@x.test"), cold), kv.put(balanceKey("warm@x.test"), warm)]);
    const change = (account: string, version: number) => books.set(balance(account, version, version, Date.now()));
    change("cold@x.test", 2);
    change("warm@x.test", 2);
    books.set(balance("old@x.test", 2, 2));
    let askedMs = 0;
    books.meanwhile = async () => {
      askedMs = Date.now();
      if (parseBalance(await kv.get(balanceKey("old@x.test"))) === undefined) {
        return; // what can be told at once waits for nobody
      }
      change("cold@x.test", 3);
      await kv.put(balanceKey("warm@x.test"), text({ ...change("warm@x.test", 3), version: 2 }));
    };
    const began = Date.now();
    const pass = await reconcile(kv, books);
    expect(Date.parse(parseBalance(await kv.get(balanceKey("cold@x.test")))?.as_of ?? "")).toBeLessThanOrEqual(askedMs);
    expect(pass.findings.map(({ key, kind, before, repaired }) => [key, kind, before, repaired])).toEqual([
      [balanceKey("old@x.test"), "missing", null, true],
      [balanceKey("cold@x.test"), "old", cold, true],
    ]);
    expect(parseBalance(await kv.get(balanceKey("cold@x.test")))?.version).toBe(3);
    expect(pass.ended_ms - began).toBeGreaterThanOrEqual(inFlightMs - 1000);
  }, 15_000);

  it("does not take away the entry of an account that is opened at the same moment", async () => {
    const books = new Memory();
    await kv.put(balanceKey("new@x.test"), text(balance("new@x.test", 1, 1)));
    let asked = 0;
    books.meanwhile = async () => {
      asked++;
      if (asked === 2) {
        books.set(balance("new@x.test", 1, 1));
      }
    };
    expect((await reconcile(kv, books)).findings).toEqual([]);
    expect(await kv.get(balanceKey("new@x.test"))).not.toBeNull();
  });

  it("leaves its mark only when all that changed was made good, and goes on where its calls ended", async () => {
    const books = new Memory();
    const accounts = 450;
    for (let i = 0; i < accounts; i++) {
      books.set(balance(`n${i}@x.test`, 1, i));
    }
    const first = await reconcile(kv, books);
    const repaired = first.findings.filter((finding) => finding.repaired).length;
    expect(repaired).toBeGreaterThan(300);
    expect([first.findings.length, first.complete]).toEqual([accounts, repaired === accounts]);
    expect(first.complete).toBe(false);
    expect(await readMark(kv)).toBeUndefined();
    const second = await reconcile(kv, books);
    expect([second.findings.length, second.complete]).toEqual([accounts - repaired, true]);
    expect(await readMark(kv)).toEqual({ as_of: second.started_ms, steady_since: second.ended_ms });
  });

  it("makes no more calls than a pass may, whatever there is to do", async () => {
    const books = new Memory();
    for (let i = 0; i < 1_200; i++) {
      books.set(balance(`m${i}@x.test`, 1, i));
    }
    books.uses = Array.from({ length: 700 }, (_, i) => ({
      id: `0192f0c1-2f3a-7abc-8def-${String(i).padStart(12, "0")}`,
      account: "ada@x.test",
      amount: 50,
      at_ms: longAgo - i,
      meta: { route: "/r", tokens_in: 1, tokens_out: 0 },
      recorded_ms: longAgo - i,
    }));
    let calls = 0;
    const counting = new Proxy(kv, {
      get(target, member) {
        const value: unknown = Reflect.get(target, member);
        return typeof value === "function" ? (...given: unknown[]) => ++calls && value.apply(target, given) : value;
      },
    });
    const { uses_shown } = await reconcile(counting, books);
    expect(calls).toBeLessThanOrEqual(budget.calls);
    expect(calls).toBeGreaterThan(budget.calls - 10);
    expect(uses_shown).toBeGreaterThan(40);
  });
});

describe("POST reconcile", () => {
  const post = (headers: Record<string, string>) => SELF.fetch("https://service/api/admin/reconcile", { method: "POST", headers });

  it("is the admin key's alone", async () => {
    expect((await post(user("ada@example.test"))).status).toBe(403);
  });

  it("says that the ledger is away", async () => {
    const response = await post(admin());
    expect([response.status, await response.json()]).toEqual([503, { error: "ledger_unavailable" }]);
  });
});
