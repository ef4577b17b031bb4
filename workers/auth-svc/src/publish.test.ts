import { createExecutionContext, createScheduledController, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { encodeCaller } from "../../shared/src/caller";
import type { Env } from "./env.gen";
import worker from "./worker";

interface Row {
  readonly value: string;
  readonly listedUntil: number;
  published: boolean;
}

/** The list of revocations as the database keeps it, with its transactions; what its SQL does is tested where that is. */
const books = vi.hoisted(() => {
  const kept = { rows: [] as Row[], before: [] as Row[] };
  const list = (now: number) => {
    kept.rows = kept.rows.filter(({ listedUntil }) => listedUntil >= now);
    const fresh = kept.rows.filter(({ published }) => !published).length;
    kept.rows = kept.rows.map((row) => ({ ...row, published: true }));
    return [{ list: { jti: kept.rows.map(({ value }) => value), family: [], subject: [], fresh } }];
  };
  const statements: Record<string, (parameters: readonly (string | null)[]) => unknown[] | undefined> = {
    BEGIN: () => {
      kept.before = kept.rows;
      return [];
    },
    COMMIT: () => [],
    ROLLBACK: () => {
      kept.rows = kept.before;
      return [];
    },
    "count(*)": () => [{ n: String(kept.rows.length) }],
    "auth.revoke": ([, value, , until]) => {
      kept.rows = [...kept.rows, { value: value as string, listedUntil: Number(until), published: false }];
      return [];
    },
    "auth.list": ([now]) => list(Number(now)),
  };
  const query = async (text: string, parameters: readonly (string | null)[] = []) => {
    const name = Object.keys(statements).find((part) => text.includes(part)) as string;
    return statements[name]?.(parameters);
  };
  return { kept, database: { query, close: async () => {} } };
});

vi.mock("../../shared/src/database", async (original) => ({ ...(await original()), openDatabase: () => books.database }));

const bindings = env as unknown as Env;
const jti = "0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11";

beforeEach(async () => {
  books.kept.rows = [];
  await bindings.KEYS.delete("revoked");
});

/** KV that takes no write for so many times. */
function refusing(times: number): { env: Env; tries: () => number } {
  let tries = 0;
  const put = async (name: string, value: string) => {
    tries++;
    if (tries <= times) {
      throw new Error("KV PUT failed: 429 Too Many Requests");
    }
    await bindings.KEYS.put(name, value);
  };
  return { env: { ...bindings, KEYS: { get: bindings.KEYS.get.bind(bindings.KEYS), put } as unknown as KVNamespace }, tries: () => tries };
}

async function revoke(with_: Env): Promise<number> {
  const admin = { "x-cog-caller": encodeCaller({ id: null, role: null, tenant: null, admin: true }) };
  const request = new Request("https://service/auth/revoke", { method: "POST", headers: admin, body: JSON.stringify({ jti }) });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(request as Request<unknown, IncomingRequestCfProperties>, with_, ctx)) as Response;
  await waitOnExecutionContext(ctx);
  return response.status;
}

async function cron(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController({ cron: "*/10 * * * *" }), bindings, ctx);
  await waitOnExecutionContext(ctx);
}

const listed = () => bindings.KEYS.get<{ as_of: number; jti: string[] }>("revoked", "json");

describe("a list that KV does not take", () => {
  it("is tried again at the call, a second apart", async () => {
    const kv = refusing(1);
    expect([await revoke(kv.env), kv.tries()]).toEqual([200, 2]);
    expect((await listed())?.jti).toEqual([jti]);
  });

  it("is said to its caller, stays unpublished, and is published by the cron", async () => {
    const kv = refusing(100);
    expect([await revoke(kv.env), kv.tries()]).toEqual([503, 4]);
    expect([await listed(), books.kept.rows.map(({ published }) => published)]).toEqual([null, [false]]);
    await cron();
    expect([(await listed())?.jti, books.kept.rows.map(({ published }) => published)]).toEqual([[jti], [true]]);
  });
});

describe("the cron", () => {
  it("publishes without what no valid token needs any more, also when nothing is new", async () => {
    const now = Math.floor(Date.now() / 1000);
    const row = (value: string, listedUntil: number) => ({ value, listedUntil, published: true });
    books.kept.rows = [row("over", now - 1), row("needed", now + 60)];
    await bindings.KEYS.put("revoked", JSON.stringify({ as_of: 1, jti: ["over", "needed"], family: [], subject: [] }));
    await cron();
    const list = await listed();
    expect([list?.jti, (list?.as_of ?? 0) >= now]).toEqual([["needed"], true]);
  });
});
