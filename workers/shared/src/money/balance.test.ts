import { env } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";

import { agrees, type Balance, balanceKey, balancePayload, parseBalance, stored } from "./balance";
import { isWithinBound, kvVisibilityMs, type Mark, maxStaleMs, nextMark } from "./mark";
import { isTooMuch, parseReading } from "./pressure";
import { confirmBalance, publishBalances, readMany } from "./publish";

const kv = env.KEYS;
const now = Date.UTC(2026, 10, 25);
const balance = (version: number, micro = version * 1000, account = "ada@example.test"): Balance => ({
  account,
  balance: micro,
  held: 0,
  overage: 0,
  version,
  updated_at_ms: now,
});

describe("a balance in KV", () => {
  it("is what clients of every age read", () => {
    const copy = stored(balance(3, -6150), now);
    expect(balancePayload("ada@example.test", copy)).toEqual({
      email: "ada@example.test",
      balance_credits: -0.00615,
      credits: -0.00615,
      balance: -0.00615,
      updated_at: "2026-11-25T00:00:00.000Z",
      updated: "2026-11-25T00:00:00.000Z",
      held_credits: 0,
      owed_credits: 0,
      as_of: "2026-11-25T00:00:00.000Z",
    });
    expect(parseBalance(JSON.stringify(copy))).toEqual(copy);
    expect(agrees(copy, balance(3, -6150))).toBe(true);
    expect(agrees(copy, balance(3, -6151))).toBe(false);
    expect(agrees(copy, balance(4, -6150))).toBe(false);
  });

  it("may say more than this code knows", () => {
    expect(parseBalance(JSON.stringify({ ...stored(balance(1), now), limits: {} }))).toMatchObject({ version: 1 });
  });

  it.each([
    ["nothing", null],
    ["no JSON", "{"],
    ["a balance of the platform before", '{"balance_credits":5,"updated_at":"2025-01-01T00:00:00.000Z"}'],
    ["a fraction of a micro-credit", JSON.stringify({ ...stored(balance(1), now), balance_credits: 1e-9 })],
    ["a text for a number", JSON.stringify({ ...stored(balance(1), now), balance_credits: "5" })],
    ["no time", JSON.stringify({ ...stored(balance(1), now), as_of: "soon" })],
    ["half a version", JSON.stringify({ ...stored(balance(1), now), version: 1.5 })],
    ["a list", "[]"],
    ["null", "null"],
  ])("is not read from %s", (_, text) => expect(parseBalance(text)).toBeUndefined());
});

describe("publishing", () => {
  const versionIn = async (account: string) => parseBalance(await kv.get(balanceKey(account)))?.version;

  it("never puts an older projection over a newer one, in whatever order they come", async () => {
    for (const order of [
      [1, 2, 3],
      [3, 2, 1],
      [2, 3, 1],
      [3, 1, 2],
    ]) {
      const account = `${order.join("")}@order.test`;
      for (const version of order) {
        expect(await publishBalances(kv, [balance(version, version, account)], now)).toEqual([]);
      }
      expect(await versionIn(account)).toBe(3);
    }
  });

  it("replaces what it cannot read", async () => {
    await kv.put(balanceKey("old@platform.test"), '{"balance_credits":5,"updated_at":"2025-01-01T00:00:00.000Z"}');
    await publishBalances(kv, [balance(1, 1, "old@platform.test")], now);
    expect(await versionIn("old@platform.test")).toBe(1);
  });

  it("reads more keys than KV gives at once", async () => {
    const accounts = Array.from({ length: 230 }, (_, i) => `n${i}@many.test`);
    await publishBalances(
      kv,
      accounts.map((account) => balance(1, 1, account)),
      now,
    );
    expect([...(await readMany(kv, accounts.map(balanceKey))).values()].filter((text) => text !== null)).toHaveLength(230);
  });

  it("ends with the newest when another writer comes between the ledger's answer and the write", async () => {
    const account = "race@example.test";
    const ledger = [balance(6, 6, account), balance(6, 6, account)];
    // Version 5 was read; then the writer committed and published 6; then 5 is written by force, as KV cannot prevent.
    await kv.put(balanceKey(account), JSON.stringify(stored(balance(6, 6, account), now)));
    const forced = {
      get: async () => new Map([[balanceKey(account), null]]), // what a reader far away sees
      put: (name: string, value: string) => kv.put(name, value),
    } as unknown as KVNamespace;
    const asked = vi.fn(async () => ledger.shift());
    await confirmBalance(forced, balance(5, 5, account), now - 1000, asked);
    expect(await versionIn(account)).toBe(6);
    expect(asked).toHaveBeenCalledTimes(2);
  });

  it("dates a copy by when the ledger was asked, not by when it answered or KV was written to", async () => {
    const account = "slow@example.test";
    const slow = async () => undefined;
    await confirmBalance(kv, balance(5, 5, account), now - 7000, slow);
    expect(parseBalance(await kv.get(balanceKey(account)))?.as_of).toBe(new Date(now - 7000).toISOString());
  });
});

describe("the stated bound on staleness", () => {
  const copy = (ageMs: number) => stored(balance(1), now - ageMs);
  const mark = (ageMs: number, steadyMs = 3_600_000): Mark => ({ as_of: now - ageMs, steady_since: now - steadyMs });

  it.each([
    ["a young copy, whoever watches", copy(maxStaleMs), undefined, true],
    ["an old copy that nobody watches", copy(maxStaleMs + 1), undefined, false],
    ["an old copy under a guard at work", copy(86_400_000), mark(30_000), true],
    ["an old copy when the guard has stopped", copy(86_400_000), mark(maxStaleMs + 1), false],
    ["an old copy when the guard came back just now", copy(86_400_000), mark(0, kvVisibilityMs - 1), false],
    ["an old copy when the guard has been back for long enough", copy(86_400_000), mark(0, kvVisibilityMs), true],
  ])("%s", (_, given, guard, within) => expect(isWithinBound(given, guard, now)).toBe(within));

  it("counts a guard's time from the end of its first pass, and anew after a gap", () => {
    const pass = (started_ms: number, ended_ms: number) => ({ started_ms, ended_ms });
    const first = nextMark(undefined, pass(1000, 3000));
    expect(first).toEqual({ as_of: 1000, steady_since: 3000 });
    expect(nextMark(first, pass(31_000, 61_000))).toEqual({ as_of: 31_000, steady_since: 3000 });
    expect(nextMark(first, pass(31_000, 61_001))).toEqual({ as_of: 31_000, steady_since: 61_001 });
    expect(nextMark(first, pass(500, 600))).toEqual({ as_of: 500, steady_since: 600 }); // a clock that went back
  });
});

describe("pressure", () => {
  it.each([
    ["no reading", undefined, false],
    ["nothing waits", { at: now, backlog: 0, oldest: null }, false],
    ["as much as may wait", { at: now, backlog: 100_000, oldest: now - 120_000 }, false],
    ["one too many", { at: now, backlog: 100_001, oldest: null }, true],
    ["a moment too late", { at: now, backlog: 1, oldest: now - 120_001 }, true],
    ["too much, but long ago", { at: now - 90_001, backlog: 1e9, oldest: null }, false],
  ])("%s", (_, reading, tooMuch) => expect(isTooMuch(reading, now)).toBe(tooMuch));

  it.each([null, "{", "[]", '{"at":1}', "null"])("is not read from %j", (text) => expect(parseReading(text)).toBeUndefined());
});
