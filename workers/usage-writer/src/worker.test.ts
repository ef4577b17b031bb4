import { createExecutionContext, createMessageBatch, env, getQueueResult } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { BadData, type Database, DatabaseAway } from "../../shared/src/database";
import { type Balance, balanceKey, parseBalance, stored } from "../../shared/src/money/balance";
import { Ledger } from "../../shared/src/money/ledger";
import { feedPrefix, type UsageEvent } from "../../shared/src/money/usage";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import { asJson } from "./deadletters";
import type { Env } from "./env.gen";
import { Pace } from "./pace";
import { asOfMs, inMessages } from "./show";
import { fateOf, isNewer, retryDelay, sortForFeed } from "./sort";
import worker from "./worker";

describeEveryWorker("usage-writer");

const bound = env as unknown as Env;
const event = (n: number, change: object = {}): UsageEvent => ({
  v: 1,
  id: `0192f0c1-2f3a-7abc-8def-${String(n).padStart(12, "0")}`,
  kind: "usage",
  account: "ada@example.test",
  amount: 50,
  at_ms: 1_795_000_000_000,
  meta: { route: "/r", tokens_in: 1, tokens_out: 0 },
  ...change,
});

async function deliver(queue: string, bodies: unknown[], attempts = 1) {
  const messages = bodies.map((body, i) => ({ id: `m${i}`, timestamp: new Date(), attempts, body }));
  const batch = createMessageBatch(queue, messages);
  const ctx = createExecutionContext();
  await worker.queue?.(batch, bound, ctx);
  return getQueueResult(batch, ctx);
}

// Without TEST_DATABASE_URL nothing answers behind the binding, as when the database is down. What the writer does with one that
// answers is tested on the local cloud, with a real one.
describe("while the database is away", () => {
  it("defect 5: loses nothing: every message of a batch is tried again, later each time", async () => {
    const result = await deliver("cognomega-usage-events", [event(1), event(2)], 3);
    expect(result.explicitAcks).toEqual([]);
    expect(result.retryMessages.map(({ msgId }) => msgId)).toEqual(["m0", "m1"]);
  });

  it("keeps dead letters in their queue", async () => {
    const result = await deliver("cognomega-usage-events-dlq", [{ anything: true }]);
    expect(result).toMatchObject({ explicitAcks: [], ackAll: false, retryBatch: { retry: true } });
  });

  it("leaves an event of a newer producer to a newer writer", async () => {
    const result = await deliver("cognomega-usage-events", [event(1, { v: 2 })]);
    expect(result.retryMessages.map(({ msgId }) => msgId)).toEqual(["m0"]);
  });
});

describe("what becomes of an event", () => {
  it.each([
    ["posted", "settled"],
    ["overage", "settled"],
    ["duplicate", "settled"],
    ["conflict", "reviewed"],
    ["invalid_amount", "reviewed"],
    ["not_an_event", "reviewed"],
    ["unknown_account", "reviewed"],
    ["unreadable", "dead"],
    ["a word of a newer ledger", "later"],
    [undefined, "later"],
  ])("%s: %s", (outcome, fate) => expect(fateOf(outcome)).toBe(fate));

  it.each([
    [{ v: 1 }, false],
    [{ v: 2 }, true],
    [{}, false],
    [null, false],
    ["text", false],
    [{ v: "2" }, false],
  ])("%j is of a newer producer: %s", (body, newer) => expect(isNewer(body)).toBe(newer));

  it("is shown as it was posted first: a known id is asked for, what was not posted is not shown", () => {
    const bodies = [event(1), event(2), event(2), { junk: true }, event(3), event(4)];
    const outcomes = ["posted", "duplicate", "duplicate", "not_an_event", "conflict", "overage"];
    const { fresh, known } = sortForFeed(bodies, { outcomes, balances: [] });
    expect(fresh.map(({ id }) => id)).toEqual([event(1).id, event(4).id]);
    expect(known).toEqual([event(2).id]);
  });

  it("is tried again ever later, five minutes apart in the end", () => {
    expect([1, 2, 3, 8, 9, 100].map((attempts) => retryDelay(attempts, 2))).toEqual([2, 4, 8, 256, 300, 300]);
  });
});

describe("a batch that the database refuses for its data", () => {
  /** A database that refuses every statement that holds a poisoned event, and counts what it is asked. */
  const picky = () => {
    const asked: number[] = [];
    const db: Database = {
      async query<Row>(_: string, parameters: readonly (string | null)[] = []) {
        const events = JSON.parse(parameters[0] ?? "[]") as UsageEvent[];
        asked.push(events.length);
        if (events.some(({ account }) => account === "poison")) {
          throw new BadData("22P05");
        }
        return [{ posted: { outcomes: events.map(() => "posted"), balances: [] } }] as Row[];
      },
      async close() {},
    };
    return { db, asked };
  };

  it.each([0, 57, 99])("is posted but for the one that is to blame (number %d)", async (bad) => {
    const { db, asked } = picky();
    const events: unknown[] = Array.from({ length: 100 }, (_, n) => event(n, n === bad ? { account: "poison" } : {}));
    const { outcomes } = await new Ledger(db).post(events);
    expect(outcomes.map((outcome, n) => (n === bad ? outcome : outcome === "posted"))).toEqual(
      Array.from({ length: 100 }, (_, n) => (n === bad ? "unreadable" : true)),
    );
    expect(asked.length).toBeLessThanOrEqual(15);
  });

  it("is posted but for what JSON cannot say", async () => {
    const { outcomes } = await new Ledger(picky().db).post([event(1), { v: 1, amount: 1n }, event(2)]);
    expect(outcomes).toEqual(["posted", "unreadable", "posted"]);
  });

  it("is not taken apart when the database is away", async () => {
    const db: Database = { query: () => Promise.reject(new DatabaseAway("gone")), async close() {} };
    await expect(new Ledger(db).post([event(1), event(2)])).rejects.toBeInstanceOf(DatabaseAway);
  });
});

describe("a dead letter", () => {
  it.each([
    [{ a: 1 }, '{"a":1}'],
    [undefined, "null"],
    ["text", '"text"'],
    [new Uint8Array([1, 2, 255]), '{"base64":"AQL/"}'],
    [new Uint8Array([1]).buffer, '{"base64":"AQ=="}'],
    [10n, '"10"'],
  ])("is kept as JSON, whatever it is", (body, text) => expect(asJson(body)).toBe(text));
});

describe("the pace of balances", () => {
  const balance = (account: string, version: number): Balance => ({ account, version, balance: 0, held: 0, overage: 0, updated_at_ms: 0 });
  const admitted = (pace: Pace, balances: Balance[], now: number, most = 100) =>
    pace.admit(balances, now, most).map(({ account, version }) => `${account}${version}`);

  it("is one a second for each account, and no more at once than may be", () => {
    const pace = new Pace();
    expect(admitted(pace, [balance("a", 1), balance("b", 1), balance("c", 1)], 1000, 2)).toEqual(["a1", "b1"]);
    expect(admitted(pace, [balance("a", 2), balance("c", 1)], 1999)).toEqual(["c1"]);
    expect(admitted(pace, [balance("a", 3), balance("c", 2)], 2000)).toEqual(["a3"]);
  });

  it("has a bounded memory", () => {
    const pace = new Pace();
    for (let i = 0; i < 10_001; i++) {
      pace.admit([balance(`n${i}-`, 1)], 1000, 1);
    }
    expect(pace.admit([balance("n10000-", 3)], 1500, 1)).toEqual([]);
    expect(pace.admit([balance("n0-", 3)], 1500, 1)).toHaveLength(1); // forgotten: nothing worse than a write too many
  });
});

describe("showing what the ledger has taken", () => {
  const balance = (account: string, version: number): Balance => ({
    account,
    version,
    balance: version * 1_000_000,
    held: 0,
    overage: 0,
    updated_at_ms: 1_795_000_000_000,
  });
  const told = (...balances: unknown[]) => ({ v: 1, balances });
  const versionOf = async (account: string) => parseBalance(await bound.KV_BILLING.get(balanceKey(account)))?.version;

  it("writes one balance an account, the newest of the batch, and lets the older messages go", async () => {
    const { explicitAcks, retryMessages } = await deliver("cognomega-usage-balances", [
      told(balance("eve@show.test", 2), balance("bob@show.test", 1)),
      told(balance("eve@show.test", 4)),
      told(balance("eve@show.test", 3)),
    ]);
    expect([explicitAcks, retryMessages]).toEqual([["m0", "m1", "m2"], []]);
    expect([await versionOf("eve@show.test"), await versionOf("bob@show.test")]).toEqual([4, 1]);
  });

  it("keeps the message of a balance that comes within a second, which is not lost with the isolate", async () => {
    await deliver("cognomega-usage-balances", [told(balance("soon@show.test", 1))]);
    const { explicitAcks, retryMessages } = await deliver("cognomega-usage-balances", [
      told(balance("soon@show.test", 2)),
      told(balance("soon@show.test", 3)),
    ]);
    expect([explicitAcks, retryMessages.map(({ msgId }) => msgId)]).toEqual([["m0"], ["m1"]]);
    expect(await versionOf("soon@show.test")).toBe(1);
  });

  it("dates a balance by when the ledger said so, not by when the queue let it go: the bound of a copy's age hangs on it", async () => {
    const asked = Date.now() - 600_000;
    await deliver("cognomega-usage-balances", [{ ...told(balance("waited@show.test", 1)), as_of_ms: asked }]);
    const copy = parseBalance(await bound.KV_BILLING.get(balanceKey("waited@show.test")));
    expect(copy?.as_of).toBe(new Date(asked).toISOString());
    expect(asOfMs({ body: told(), timestamp: new Date(asked) })).toBe(asked);
  });

  it("never writes an older balance over a newer one", async () => {
    await bound.KV_BILLING.put(balanceKey("late@show.test"), JSON.stringify(stored(balance("late@show.test", 9), 1_795_000_000_000)));
    const { explicitAcks } = await deliver("cognomega-usage-balances", [told(balance("late@show.test", 8))]);
    expect(explicitAcks).toEqual(["m0"]);
    expect(await versionOf("late@show.test")).toBe(9);
  });

  it("writes every use of a message into its feed, the same bytes when it comes again", async () => {
    const uses = Array.from({ length: 20 }, (_, n) => event(n, { account: "feed@show.test", at_ms: Date.now() }));
    for (let times = 0; times < 2; times++) {
      expect((await deliver("cognomega-usage-feed", [{ v: 1, uses }])).explicitAcks).toEqual(["m0"]);
      const { keys } = await bound.KV_BILLING.list({ prefix: feedPrefix("feed@show.test") });
      expect(keys).toHaveLength(20);
    }
  });

  it.each(["cognomega-usage-feed", "cognomega-usage-balances"])(
    "lets what is not ours go, and shows its neighbours (%s)",
    async (queue) => {
      const account = `kept@${queue}.test`;
      const whole = { v: 1, uses: [event(1, { account, at_ms: Date.now() })], balances: [balance(account, 1)] };
      const broken = { v: 1, uses: [null, { id: 1 }, event(2, { at_ms: "x" })], balances: [null, { account }, { account, version: "1" }] };
      const { explicitAcks } = await deliver(queue, [null, "text", { v: 2 }, { v: 1, uses: 1, balances: 1 }, broken, whole]);
      expect(explicitAcks).toHaveLength(6);
      const { keys } = await bound.KV_BILLING.list({
        prefix: queue === "cognomega-usage-feed" ? feedPrefix(account) : balanceKey(account),
      });
      expect(keys).toHaveLength(1);
    },
  );

  it("sends a batch's uses in as few messages as hold them", () => {
    const note = "x".repeat(2_000);
    const long = Array.from({ length: 100 }, (_, n) => event(n, { meta: { route: "/r", tokens_in: 1, tokens_out: 0, note } }));
    const messages = inMessages(long);
    expect(messages).toHaveLength(2);
    expect(messages.flat().map(({ id }) => id)).toEqual(long.map(({ id }) => id));
    expect(inMessages(long.slice(0, 50))).toHaveLength(1);
    expect(inMessages([])).toEqual([]);
    expect(inMessages([event(1, { meta: { route: "/r", tokens_in: 1, tokens_out: 0, note: "x".repeat(125_000) } })])).toHaveLength(1);
  });
});
