import { env, SELF } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { revTs } from "../../shared/src/money/usage";
import { admin, user } from "../../shared/src/testing/callers";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import type { Env } from "./env.gen";
import { maxCalls, type Plan, sweep } from "./sweep";

describeEveryWorker("admin-svc");

const kv = (env as unknown as Env).KV_BILLING;
const dayMs = 86_400_000;
const daysAgo = (days: number, n = 0) => revTs(Date.now() - days * dayMs + n);
const get = (path: string, headers = admin()) => SELF.fetch(`https://service${path}`, { headers });

describe("every path", () => {
  it.each(["/api/admin/ping", "/api/admin/env-snapshot"])("%s is the admin key's alone, whatever the gateway lets in", async (path) => {
    expect((await get(path, user("ada@example.test"))).status).toBe(403);
  });

  it("ping answers", async () => expect(await (await get("/api/admin/ping")).json()).toEqual({ ok: true }));
});

describe("GET env-snapshot", () => {
  it("tells what every service sees of its environment, and never a secret's value", async () => {
    const text = await (await get("/api/admin/env-snapshot")).text();
    expect(text).not.toContain("PRIVATE KEY");
    expect(text).not.toContain(env.TEST_ADMIN_API_KEY);
    const snapshot = JSON.parse(text);
    expect(snapshot).toMatchObject({
      ok: true,
      at: expect.stringMatching(/^\d{4}-/),
      note: expect.any(String),
      vars: { ISSUER: env.TEST_ISSUER },
      secrets: { PRIVATE_KEY_PEM: true, KID: true, TURNSTILE_SECRET: false, ADMIN_API_KEY: true },
      bindings: { KV_BILLING: true, DB: true, USAGE: true, AI: true },
      silent: [],
    });
    expect(Object.keys(snapshot.workers).sort()).toEqual([
      "admin-svc",
      "auth-svc",
      "billing-svc",
      "files-svc",
      "orchestrator-svc",
      "rate-limiter-do",
      "reconciler",
      "usage-svc",
      "usage-writer",
    ]);
  });
});

describe("POST cleanup", () => {
  const post = (body: unknown, headers = admin()) =>
    SELF.fetch("https://service/api/admin/cleanup", { method: "POST", headers, body: JSON.stringify(body) });
  type Answer = { scanned: number; deleted: number; kept: number; complete: boolean; next_cursor: string | null; error?: string };
  const clean = async (body: unknown) => (await post(body)).json<Answer>();
  const names = async () => (await kv.list()).keys.map(({ name }) => name);

  beforeEach(async () => {
    for (let page = await kv.list(); ; page = await kv.list()) {
      await Promise.all(page.keys.map(({ name }) => kv.delete(name)));
      if (page.list_complete) {
        break;
      }
    }
  });

  it("deletes what is older, and leaves everything else", async () => {
    const stay = [
      `usage:a@x.test:${daysAgo(29)}:1`,
      "balance:a@x.test",
      "usage:not-a-key",
      `usage:a@x.test:${daysAgo(40)}`,
      `jobs:a@x.test:${daysAgo(1)}:j2`,
      "job:j2",
    ];
    const go = [`usage:a@x.test:${daysAgo(31)}:2`, `usage:b@x.test:${daysAgo(365)}:3`, `jobs:a@x.test:${daysAgo(31)}:j1`, "job:j1"];
    await Promise.all([...stay, ...go].map((name) => kv.put(name, "{}")));
    const dry = await clean({ dry_run: true });
    expect(dry).toMatchObject({ ok: true, dry_run: true, kind: "both", older_than_days: 30, limit: 500, deleted: 3, complete: true });
    expect(await names()).toHaveLength(stay.length + go.length);
    expect(await clean({})).toMatchObject({ scanned: 7, deleted: 3, kept: 4, complete: true, next_cursor: null });
    expect(await names()).toEqual([...stay].sort());
  });

  it("cleans one kind, and the accounts whose name begins so", async () => {
    await Promise.all(["usage:a@x.test", "usage:b@x.test", "jobs:a@x.test"].map((name) => kv.put(`${name}:${daysAgo(50)}:1`, "{}")));
    expect(await clean({ kind: "usage", email_prefix: "A@" })).toMatchObject({ deleted: 1 });
    expect((await names()).map((name) => name.slice(0, 8)).sort()).toEqual(["jobs:a@x", "usage:b@"]);
  });

  it("goes on where it stopped, until everything is looked at, and each entry goes once", async () => {
    await Promise.all(Array.from({ length: 250 }, (_, n) => kv.put(`usage:a@x.test:${daysAgo(n % 2 === 0 ? 60 : 5, n)}:${n}`, "{}")));
    let cursor: string | null = null;
    let [calls, deleted] = [0, 0];
    do {
      const answer: Answer = await clean({ limit: 40, ...(cursor === null ? {} : { cursor }) });
      calls++;
      deleted += answer.deleted;
      cursor = answer.next_cursor;
    } while (cursor !== null);
    expect([calls, deleted, (await names()).length]).toEqual([4, 125, 125]);
  });

  it.each([
    ["a kind that is none", { kind: "all" }, "invalid_kind"],
    ["no age", { older_than_days: 0 }, "invalid_older_than_days"],
    ["an age in words", { older_than_days: "30" }, "invalid_older_than_days"],
    ["more than one call may do", { limit: 5001 }, "invalid_limit"],
    ["half a dry run", { dry_run: "yes" }, "invalid_dry_run"],
    ["a cursor that was made up", { cursor: "x" }, "invalid_cursor"],
  ])("refuses %s", async (_, body, code) => {
    const response = await post(body);
    expect([response.status, (await response.json<Answer>()).error]).toEqual([400, code]);
  });

  it("refuses a cursor of another cleanup", async () => {
    await Promise.all([1, 2, 3].map((n) => kv.put(`usage:a@x.test:${daysAgo(60, n)}:${n}`, "{}")));
    const { next_cursor } = await clean({ limit: 1 });
    expect(await clean({ limit: 1, kind: "usage", cursor: next_cursor })).toMatchObject({ error: "invalid_cursor" });
  });

  // A namespace of 20,000 old entries in memory, which counts what it is asked and refuses what a Worker may not ask.
  it("cleans 20,000 entries within what one invocation may ask of KV", async () => {
    const entries = Array.from({ length: 20_000 }, (_, n) => `usage:u${n % 100}@x.test:${daysAgo(60, n)}:${n}`).sort();
    const left = new Set(entries);
    let calls = 0;
    const big = {
      async list({ cursor }: { cursor: string | null }) {
        calls++;
        const from = Number(cursor ?? 0);
        const keys = entries.slice(from, from + 1000).flatMap((name) => (left.has(name) ? [{ name }] : []));
        const end = from + 1000;
        return end >= entries.length ? { keys, list_complete: true } : { keys, list_complete: false, cursor: String(end) };
      },
      async delete(name: string) {
        calls++;
        left.delete(name);
      },
    } as unknown as KVNamespace;
    const plan: Plan = { lists: ["usage"], prefix: "", before: Date.now() - 30 * dayMs, limit: 5000, dryRun: false, from: undefined };
    let invocations = 0;
    let from = plan.from;
    do {
      calls = 0;
      from = (await sweep(big, { ...plan, from })).next;
      invocations++;
      expect(calls).toBeLessThanOrEqual(maxCalls);
    } while (from !== undefined);
    expect(left.size).toBe(0);
    expect(invocations).toBeLessThan(25);
  });
});
