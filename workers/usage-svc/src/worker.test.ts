import { createExecutionContext, env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { feedEntry, putFeedEntry, type UsageEvent } from "../../shared/src/money/usage";
import { admin, guest, user } from "../../shared/src/testing/callers";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import type { Env } from "./env.gen";
import worker from "./worker";

describeEveryWorker("usage-svc");

const bound = env as unknown as Env;
const url = "https://service/api/billing/usage";

/** Posts to a Worker whose queue keeps what it is sent. */
async function post(body: unknown, headers: Record<string, string>, send?: () => Promise<never>) {
  const sent: UsageEvent[] = [];
  const USAGE = { send: send ?? (async (event: UsageEvent) => void sent.push(event)) } as unknown as Queue;
  const request = new Request(url, { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
  const response = await worker.fetch?.(request as never, { ...bound, USAGE }, createExecutionContext());
  return { response: response as Response, sent };
}

const refusal = async (response: Response) => [response.status, (await response.json<{ error: string }>()).error];

describe("POST usage", () => {
  it("answers 202 with the id once the real queue has it", async () => {
    const response = await SELF.fetch(url, { method: "POST", headers: user("ada@example.test"), body: '{"tokens_in":1}' });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ ok: true, queued: true, id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  });

  it("queues what the ledger takes", async () => {
    const { sent } = await post(
      { route: "/api/si/ask", tokens_in: 100, tokens_out: 23, meta: { model: "m", cached: false } },
      user("ada@example.test"),
    );
    expect(sent).toEqual([
      {
        v: 1,
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
        kind: "usage",
        account: "ada@example.test",
        amount: 6150,
        at_ms: expect.any(Number),
        meta: { route: "/api/si/ask", tokens_in: 100, tokens_out: 23, model: "m", cached: false, request_id: "test-request" },
      },
    ]);
  });

  it.each([-5, 0, "NaN", 1e300, null, {}])("defect 3: sets the cost itself, whatever the caller says (%j)", async (cost) => {
    const { response, sent } = await post({ tokens_in: 1000, cost_credits: cost, amount: cost, cost }, user("ada@example.test"));
    expect([response.status, sent[0]?.amount]).toEqual([202, 50_000]);
  });

  it("defect 3: writes to the caller's own account alone", async () => {
    const body = { tokens_in: 1, email: "victim@example.test", account: "victim@example.test", id: "0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11" };
    const { sent } = await post(body, user("ada@example.test"));
    expect(sent[0]?.account).toBe("ada@example.test");
    expect(sent[0]?.id).not.toBe(body.id);
  });

  it("defect 5: gives a retried call the id it had, and the same key of another account another one", async () => {
    const keyed = (account: string) => post({ tokens_in: 1 }, { ...user(account), "idempotency-key": "k-1" });
    const [a, again, other] = [await keyed("ada@example.test"), await keyed("ada@example.test"), await keyed("bob@example.test")];
    expect(a.sent[0]?.id).toBe(again.sent[0]?.id);
    expect(a.sent[0]?.id).not.toBe(other.sent[0]?.id);
  });

  it("defect 5: says so when the queue does not take it, rather than lose it", async () => {
    const { response } = await post({ tokens_in: 1 }, user("ada@example.test"), () => Promise.reject(new Error("queue down")));
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await refusal(response)).toEqual([503, "usage_not_queued"]);
  });

  it.each([
    ["defect 8: JSON that does not parse", "{oops", 400, "invalid_json"],
    ["defect 8: no object", "[1]", 400, "invalid_json"],
    ["defect 8: no body", "", 400, "invalid_json"],
    ["a negative number of tokens", { tokens_in: -1 }, 400, "invalid_tokens_in"],
    ["half a token", { tokens_out: 0.5 }, 400, "invalid_tokens_out"],
    ["tokens as text", { tokens_in: "5" }, 400, "invalid_tokens_in"],
    ["more tokens than there are", { tokens_in: 1e9 }, 400, "invalid_tokens_in"],
    ["nothing", { tokens_in: 0, tokens_out: 0 }, 400, "nothing_used"],
    ["notes in notes", { tokens_in: 1, meta: { a: {} } }, 400, "invalid_meta"],
    ["a list of notes", { tokens_in: 1, meta: ["a"] }, 400, "invalid_meta"],
    ["too many notes", { tokens_in: 1, meta: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, 1])) }, 400, "invalid_meta"],
    ["a body over the limit", { tokens_in: 1, route: "x".repeat(10 * 1024 * 1024) }, 413, "body_too_large"],
  ])("refuses %s and queues nothing", async (_, body, status, code) => {
    const { response, sent } = await post(body, user("ada@example.test"));
    expect([await refusal(response), sent]).toEqual([[status, code], []]);
  });

  it.each([
    ["a guest", guest, 403, "account_required"],
    ["the admin key for nobody", admin(), 400, "missing_email"],
    ["an address with a colon", user("a:b@example.test"), 400, "invalid_email"],
    ["an address of 321 bytes", user(`a${"a".repeat(307)}@example.test`), 400, "invalid_email"],
  ])("refuses %s", async (_, headers, status, code) => {
    expect(await refusal((await post({ tokens_in: 1 }, headers)).response)).toEqual([status, code]);
  });

  it.each(["", "x".repeat(201)])("refuses an Idempotency-Key of %# characters", async (key) => {
    const { response } = await post({ tokens_in: 1 }, { ...user("ada@example.test"), "idempotency-key": key });
    expect(key === "" ? response.status === 202 || response.status === 400 : response.status === 400).toBe(true);
  });

  describe("from the platform's own producers", () => {
    const id = "0192F0C1-2F3A-7ABC-8DEF-000000000001";

    it("takes their id and time, for the account they act for", async () => {
      const created_at = new Date(Date.now() - 60_000).toISOString();
      const { sent } = await post({ tokens_in: 1, id, created_at }, admin("ada@example.test"));
      expect(sent[0]).toMatchObject({ id: id.toLowerCase(), account: "ada@example.test", at_ms: Date.parse(created_at) });
    });

    it.each([
      ["an id that is none", { id: "1" }, "invalid_id"],
      ["a clock ahead", { created_at: new Date(Date.now() + 120_000).toISOString() }, "invalid_created_at"],
      ["a clock of last year", { created_at: new Date(Date.now() - 366 * 86_400_000).toISOString() }, "invalid_created_at"],
      ["no time", { created_at: "yesterday" }, "invalid_created_at"],
    ])("refuses %s", async (_, more, code) => {
      expect(await refusal((await post({ tokens_in: 1, ...more }, admin("ada@example.test"))).response)).toEqual([400, code]);
    });
  });
});

describe("GET usage", () => {
  const put = async (account: string, n: number, note?: string) => {
    const at_ms = Date.now() - 1_000_000 + n * 1000;
    const meta = { route: `/r${n}`, tokens_in: n, tokens_out: 0, ...(note === undefined ? {} : { note }) };
    const entry = feedEntry({ id: `id-${n}`, account, amount: 50 * n, at_ms, meta }, Date.now());
    await putFeedEntry(bound.KV_BILLING, entry as NonNullable<typeof entry>);
  };
  const get = async (account: string, query = "") => SELF.fetch(`${url}${query}`, { headers: user(account) });
  type Page = { email: string; items: { id: string; tokens_in: number }[]; next_cursor: string | null };
  const page = async (account: string, query = "") => (await get(account, query)).json<Page>();

  it("is empty for an account that used nothing", async () => {
    expect(await page("none@example.test")).toEqual({ email: "none@example.test", items: [], next_cursor: null });
  });

  it("gives pages newest first, each item once, and of the caller alone", async () => {
    for (let n = 1; n <= 60; n++) {
      await put("pages@example.test", n);
    }
    await put("pages@example.test.other", 1);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const { items, next_cursor }: Page = await page(
        "pages@example.test",
        `?limit=25${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      seen.push(...items.map(({ id }) => id));
      cursor = next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => `id-${60 - i}`));
  });

  it("gives 25 items unless asked for more", async () => {
    expect((await page("pages@example.test")).items).toHaveLength(25);
    expect((await page("pages@example.test", "?limit=100")).items).toHaveLength(60);
  });

  it("defect 9: reads a page in two calls to KV at most, not one a row", async () => {
    for (let n = 1; n <= 30; n++) {
      await put("calls@example.test", n, n % 2 === 0 ? "ü".repeat(250).repeat(2) : undefined);
    }
    const calls: string[] = [];
    const counted = new Proxy(bound.KV_BILLING, {
      get(kv, name: "get" | "list") {
        return (...args: unknown[]) => {
          calls.push(name);
          return (kv[name] as (...a: unknown[]) => unknown).apply(kv, args);
        };
      },
    });
    const request = new Request(`${url}?limit=30`, { headers: user("calls@example.test") });
    const response = await worker.fetch?.(request as never, { ...bound, KV_BILLING: counted }, createExecutionContext());
    expect((await (response as Response).json<Page>()).items).toHaveLength(30);
    expect(calls).toEqual(["list", "get"]);
  });

  it("shows what the platform before this one wrote, and passes over what is no item", async () => {
    const kv = bound.KV_BILLING;
    await kv.put("usage:old@example.test:2gosa0b0l5r:a", '{"id":"a","created_at":"2026-11-01T00:00:00.000Z","email":"old@example.test"}');
    await kv.put("usage:old@example.test:2gosa0b0l5r:b", "{");
    expect((await page("old@example.test")).items.map(({ id }) => id)).toEqual(["a"]);
  });

  it.each(["0", "101", "-1", "2.5", "x", ""])("refuses a limit of %j", async (limit) => {
    expect(await refusal(await get("ada@example.test", `?limit=${limit}`))).toEqual([400, "invalid_limit"]);
  });

  it("refuses a cursor that was changed, cut, made up, or given to somebody else", async () => {
    const { next_cursor } = await page("pages@example.test", "?limit=1");
    const cursor = next_cursor as string;
    const flipped = cursor.slice(0, -1) + (cursor.endsWith("A") ? "B" : "A");
    for (const bad of [flipped, cursor.slice(0, -4), "x", "a.b.c", "", `${"0".repeat(16)}.${cursor.split(".")[1]}`, "ü"]) {
      expect(await refusal(await get("pages@example.test", `?cursor=${encodeURIComponent(bad)}`))).toEqual([400, "invalid_cursor"]);
    }
    expect(await refusal(await get("other@example.test", `?cursor=${encodeURIComponent(cursor)}`))).toEqual([400, "invalid_cursor"]);
  });
});
