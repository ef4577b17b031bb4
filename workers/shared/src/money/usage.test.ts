import { describe, expect, it } from "vitest";

import { feedEntry, feedItem, parseFeedKey, revTs, timeOf, type Use } from "./usage";

const now = Date.UTC(2026, 10, 25);
const use: Use = {
  id: "01a2108e-d6ff-7a57-b378-bd7e6f0f573b",
  account: "ada@example.test",
  amount: 6150,
  at_ms: now - 1000,
  meta: { route: "/api/si/ask", tokens_in: 100, tokens_out: 23, provider: "groq", model: "m", request_id: "r" },
};

describe("the feed", () => {
  it("counts time down in keys of one length, so that newest is first", () => {
    const times = [0, 1, 999, now, now + 1, now + 86_400_000, Date.UTC(2200, 0)];
    const revs = times.map(revTs);
    expect(revs.map((rev) => rev.length)).toEqual(times.map(() => 11));
    expect([...revs].sort()).toEqual([...revs].reverse());
    expect(revs.map(timeOf)).toEqual(times);
  });

  it("keeps the form that clients know", () => {
    expect(feedItem(use)).toEqual({
      id: use.id,
      created_at: "2026-11-24T23:59:59.000Z",
      route: "/api/si/ask",
      tokens_in: 100,
      tokens_out: 23,
      cost_credits: 0.00615,
      meta: { model: "m", provider: "groq", request_id: "r" },
      email: "ada@example.test",
    });
  });

  it("spells one value for an event and for its row in the journal, whatever the order of its notes", () => {
    const { route, ...rest } = use.meta ?? {};
    const shuffled = { ...use, meta: { request_id: "r", ...rest, route: route ?? "" } };
    expect(feedEntry(shuffled, now)).toEqual(feedEntry(use, now));
    expect(feedEntry(shuffled, now)?.value).toBe(feedEntry(use, now)?.value);
  });

  it("is forgotten 30 days after the use, and never gets what is older", () => {
    expect(feedEntry(use, now)?.expiration).toBe((now - 1000) / 1000 + 30 * 86_400);
    expect(feedEntry({ ...use, at_ms: now - 30 * 86_400_000 }, now)).toBeUndefined();
  });

  it("carries an item with the list, unless it is too long for that", () => {
    expect(feedEntry(use, now)?.metadata).toMatchObject({ id: use.id });
    const long = { ...use, meta: { ...use.meta, note: "ü".repeat(500) } };
    expect(feedEntry(long, now)).toMatchObject({ metadata: undefined, value: expect.stringContaining("üüü") });
  });

  it("has keys of the longest address within KV's 512 bytes", () => {
    const account = `${"a".repeat(307)}@example.test`;
    const entry = feedEntry({ ...use, account }, now);
    expect(new TextEncoder().encode(entry?.name).byteLength).toBeLessThanOrEqual(512);
    expect(parseFeedKey(entry?.name ?? "")).toEqual({ account, at_ms: use.at_ms, id: use.id });
  });

  it.each(["balance:a@b.test", "usage:a@b.test", "usage:a@b.test:short:1", "usage:a:b:2gosa0b0l5r:1", "usage:A@b.test:2gosa0b0l5r:1", ""])(
    "does not take %j for one of its keys",
    (name) => expect(parseFeedKey(name)).toBeUndefined(),
  );
});
