import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { type FeedItem, feedEntry, putFeedEntry, revTs, type Use } from "../../shared/src/money/usage";
import type { Place, Recorded, Walk } from "./books";
import { compareListed, ourId } from "./entry";
import type { Env } from "./env.gen";
import { type FeedBooks, type FeedPass, onItsWayMs, reconcileFeed } from "./feed";

const kv = (env as unknown as Env).KV_BILLING;
const hourAgo = Date.now() - 3_600_000;
const account = "ada@feed.test";
const idOf = (n: number) => `0192f0c1-2f3a-7abc-8def-${String(n).padStart(12, "0")}`;
const use = (n: number, change: Partial<Recorded> = {}): Recorded => ({
  id: idOf(n),
  account,
  amount: 50,
  at_ms: hourAgo - n * 1000,
  meta: { route: "/r", tokens_in: 1, tokens_out: 0, model: "m" },
  recorded_us: (hourAgo - n * 1000) * 1000,
  ...change,
});
const entryOf = (of: Use) => feedEntry(of, Date.now()) as NonNullable<ReturnType<typeof feedEntry>>;

/** A journal in memory, and what the passes over it recorded. */
class Journal implements FeedBooks {
  uses: Recorded[];
  repaired: string[] = [];
  private recorded: Place = { us: 0, id: "" };
  private walks: readonly Walk[] = [];

  constructor(...uses: Recorded[]) {
    this.uses = uses;
  }

  async usesAfter({ us, id }: Place, untilUs: number, limit: number) {
    const after = this.uses
      .filter((one) => one.recorded_us < untilUs && (one.recorded_us > us || (one.recorded_us === us && one.id > id)))
      .sort((a, b) => a.recorded_us - b.recorded_us || (a.id < b.id ? -1 : 1));
    return { uses: after.slice(0, limit), more: after.length >= limit };
  }

  async usesOf(ids: readonly string[]) {
    return this.uses.filter(({ id }) => ids.includes(id));
  }

  async repairedSince() {
    return this.repaired;
  }

  async pass(calls = 400, namespace = kv): Promise<FeedPass> {
    let made = 0;
    const counting = new Proxy(namespace, {
      get(target, member) {
        const value: unknown = Reflect.get(target, member);
        return typeof value === "function" ? (...given: unknown[]) => ++made && value.apply(target, given) : value;
      },
    });
    const done = await reconcileFeed(counting, this, { recorded: this.recorded, walks: this.walks }, () => calls - made);
    expect(made).toBeLessThan(calls);
    this.recorded = done.position.recorded;
    this.walks = done.position.walks;
    return done;
  }
}

const found = ({ findings }: FeedPass) => findings.map(({ key, kind, repaired }) => [key, kind, repaired]);
const show = (...uses: Use[]) => Promise.all(uses.map((one) => putFeedEntry(kv, entryOf(one))));

async function feed(): Promise<Record<string, FeedItem | undefined>> {
  const { keys } = await kv.list<FeedItem>({ prefix: "usage:" });
  return Object.fromEntries(keys.map(({ name, metadata }) => [name, metadata]));
}

beforeEach(async () => {
  for (const { name } of (await kv.list()).keys) {
    await kv.delete(name);
  }
});

describe("a feed that nobody touched", () => {
  it("gives no finding, pass after pass, and is left as it is", async () => {
    const long = use(9, { meta: { route: "/r", tokens_in: 1, tokens_out: 0, note: "x".repeat(1_200) } });
    const journal = new Journal(use(1), use(2), use(3, { meta: null }), long);
    await show(...journal.uses);
    const before = await feed();
    for (let n = 0; n < 3; n++) {
      expect(await journal.pass()).toMatchObject({ findings: [], shown: 0, entries: 4 });
    }
    expect(await feed()).toEqual(before);
  });

  it("does not lack what is on its way there", async () => {
    const now = Date.now();
    const young = use(1, { at_ms: now - 5_000, recorded_us: (now - onItsWayMs + 5_000) * 1000 });
    const journal = new Journal(young);
    expect((await journal.pass()).findings).toEqual([]);
    expect(await feed()).toEqual({});
    journal.uses = [{ ...young, recorded_us: (now - onItsWayMs - 5_000) * 1000 }];
    expect(found(await journal.pass())).toEqual([[entryOf(young).name, "missing", true]]);
  });

  it("keeps what the platform before this one wrote", async () => {
    const rev = revTs(hourAgo);
    const old = [
      `usage:old@feed.test:${rev}:a`,
      `usage:old@feed.test:${rev}:6f9619ff-8b86-4011-b42d-00c04fc964ff`,
      "usage:odd",
      `usage:A:${rev}:${idOf(1)}`,
    ];
    await Promise.all(old.map((name) => kv.put(name, '{"id":"a","created_at":"2026-11-01T00:00:00.000Z"}')));
    expect((await new Journal().pass()).findings).toEqual([]);
    expect(Object.keys(await feed()).sort()).toEqual([...old].sort());
  });

  it("has lost what is older than the feed is long", async () => {
    const ancient = use(1, { at_ms: Date.now() - 31 * 86_400_000, recorded_us: hourAgo * 1000 });
    expect((await new Journal(ancient).pass()).findings).toEqual([]);
    const listed = { name: `usage:${account}:${revTs(ancient.at_ms)}:${ancient.id}`, metadata: { id: ancient.id } };
    const expiry = Math.floor(ancient.at_ms / 1000) + 30 * 86_400;
    expect(compareListed({ ...listed, expiration: expiry }, ancient, Date.now())).toBeUndefined();
    expect(compareListed(listed, ancient, Date.now())).toMatchObject({ kind: "old", entry: undefined });
  });
});

describe("a planted fault", () => {
  const victim = use(1);
  const { name, value, metadata, expiration } = entryOf(victim);
  const forged = { ...(metadata as FeedItem), cost_credits: 0 };
  const stranger = entryOf(use(77));
  const others = [use(2), use(3)];

  it.each<[string, () => Promise<unknown>, string, string, string | null]>([
    ["missing", () => kv.delete(name), "missing", name, null],
    ["altered", () => kv.put(name, JSON.stringify(forged), { metadata: forged, expiration }), "wrong", name, JSON.stringify(forged)],
    ["altered in the list alone", () => kv.put(name, value, { metadata: forged, expiration }), "wrong", name, JSON.stringify(forged)],
    [
      "altered in the value alone",
      () => kv.put(name, JSON.stringify(forged), { metadata, expiration }),
      "wrong",
      name,
      JSON.stringify(forged),
    ],
    ["without what lists show", () => kv.put(name, value, { expiration }), "wrong", name, value],
    ["kept for ever", () => kv.put(name, value, { metadata }), "wrong", name, JSON.stringify(metadata)],
    ["no item", () => kv.put(name, "{", { metadata, expiration }), "unreadable", name, "{"],
    ["foreign", () => putFeedEntry(kv, stranger), "foreign", stranger.name, stranger.value],
    ["foreign, without metadata", () => kv.put(stranger.name, "{}"), "foreign", stranger.name, "{}"],
    [
      "foreign, of an id by chance that looks like ours",
      () =>
        kv.put(`usage:x@feed.test:${revTs(hourAgo)}:6f9619ff-8b86-4011-b42d-00c04fc964ff`, "{}", {
          metadata: { id: "6f9619ff-8b86-4011-b42d-00c04fc964ff" },
        }),
      "foreign",
      `usage:x@feed.test:${revTs(hourAgo)}:6f9619ff-8b86-4011-b42d-00c04fc964ff`,
      "{}",
    ],
    [
      "in another account's feed",
      () => kv.put(name.replace("ada@", "eve@"), value, { metadata, expiration }),
      "foreign",
      name.replace("ada@", "eve@"),
      value,
    ],
  ])("that is %s is found, explained, repaired and kept", async (_, plant, kind, key, before) => {
    const journal = new Journal(victim, ...others);
    await show(...journal.uses);
    const right = await feed();
    expect((await journal.pass()).findings).toEqual([]);
    await plant();
    const { findings } = await journal.pass();
    expect(findings).toEqual([
      { key, kind, before, repaired: true, why: expect.stringMatching(/.{30}/), after: kind === "foreign" ? null : JSON.parse(value) },
    ]);
    expect(await feed()).toEqual(right);
    expect(await kv.get(name)).toBe(value);
    expect((await journal.pass()).findings).toEqual([]);
  });

  it("is found once, while what was repaired is not seen yet", async () => {
    const journal = new Journal(victim);
    journal.repaired = [name];
    expect((await journal.pass()).findings).toEqual([]);
    journal.repaired = [];
    expect(found(await journal.pass())).toEqual([[name, "missing", true]]);
  });
});

describe("a walk", () => {
  it("goes on where its calls ended, on both sides, until all is good, and begins anew", async () => {
    const journal = new Journal(...Array.from({ length: 300 }, (_, n) => use(n)));
    const strangers = Array.from({ length: 300 }, (_, n) => entryOf(use(1_000 + n)));
    await Promise.all(strangers.map((entry) => putFeedEntry(kv, entry)));
    const all: FeedPass[] = [];
    for (let round = 0; round < 12; round++) {
      all.push(await journal.pass(120));
    }
    const keys = all.flatMap((pass) => found(pass).map(([key]) => key));
    expect(new Set(keys).size).toBe(600); // each once
    expect(keys).toHaveLength(600);
    expect(Object.keys(await feed()).sort()).toEqual(journal.uses.map((one) => entryOf(one).name).sort());
    const walks = (await journal.pass()).position.walks;
    expect(walks.map(({ name, cursor, of_entries }) => [name, cursor, of_entries])).toEqual([
      ["listed", null, 300],
      ["journal", null, 300],
    ]);
  });

  it("stays before a use that KV would not take, and shows it when KV does", async () => {
    const journal = new Journal(use(1), use(2));
    const refusing = new Proxy(kv, {
      get(target, member) {
        const value = Reflect.get(target, member) as (...given: unknown[]) => unknown;
        return member === "put" ? () => Promise.reject(new Error("429")) : value.bind(target);
      },
    });
    const refused = await journal.pass(400, refusing);
    expect(refused.findings.map(({ repaired }) => repaired)).toEqual([false, false]);
    expect((await journal.pass()).shown).toBe(2);
    expect(Object.keys(await feed())).toHaveLength(2);
  });
});

describe("what a list shows", () => {
  const shown = use(1);
  const { name, metadata, expiration } = entryOf(shown);
  const item = metadata as FeedItem;
  const { model, ...rest } = item.meta as Record<string, string>;
  it.each<[string, unknown, boolean]>([
    ["its members in another order", Object.fromEntries(Object.entries(item).reverse()), true],
    ["one member more", { ...item, more: undefined }, false],
    ["one member less", { ...item, email: undefined }, false],
    ["another member in place of one", { ...item, meta: { ...rest, other: model } }, false],
    ["a list in place of an object", { ...item, meta: [model] }, false],
    ["nothing", null, false],
  ])("with %s", (_, other, agrees) => {
    expect(compareListed({ name, metadata: other, expiration }, shown, Date.now()) === undefined).toBe(agrees);
  });
});

describe("an id of ours", () => {
  const name = (id: string) => `usage:${account}:${revTs(hourAgo)}:${id}`;
  it.each([
    [idOf(1), undefined, true],
    [idOf(1).toUpperCase(), undefined, true],
    ["6f9619ff-8b86-8011-b42d-00c04fc964ff", undefined, true],
    ["6f9619ff-8b86-4011-b42d-00c04fc964ff", undefined, false],
    ["6f9619ff-8b86-4011-b42d-00c04fc964ff", { id: "6f9619ff-8b86-4011-b42d-00c04fc964ff" }, true],
    ["6f9619ff-8b86-4011-b42d-00c04fc964ff", { id: "another" }, false],
    ["a", { id: "a" }, false],
  ])("%s with metadata %j: %s", (id, metadata, ours) => expect(ourId({ name: name(id), metadata }) !== undefined).toBe(ours));
});
