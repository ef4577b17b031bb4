import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { encodeCaller } from "../../shared/src/caller";
import type { Env } from "./env.gen";
import worker from "./worker";

interface Row {
  readonly tenant: string;
  readonly state: string;
  readonly why: string;
}

/** The tenants as the database keeps them; what its SQL does is tested where that is. */
const books = vi.hoisted(() => {
  const kept = { rows: [] as Row[] };
  const named = (name: unknown) => kept.rows.filter(({ tenant }) => tenant === name);
  const statements: Record<string, (parameters: readonly (string | null)[]) => unknown[]> = {
    "ON CONFLICT": ([tenant, why]) => {
      const fresh = named(tenant).length === 0;
      kept.rows = fresh ? [...kept.rows, { tenant: tenant as string, state: "active", why: why as string }] : kept.rows;
      return fresh ? [{ id: tenant }] : [];
    },
    "UPDATE auth.tenant": ([tenant, state, why]) => {
      const turned = named(tenant).filter((row) => row.state !== state);
      kept.rows = kept.rows.map((row) => (turned.includes(row) ? { ...row, state: state as string, why: why as string } : row));
      return turned;
    },
    "id > $1": ([after, limit]) => kept.rows.filter(({ tenant }) => tenant > (after as string)).slice(0, Number(limit)),
    "WHERE id = $1": ([tenant]) => named(tenant),
    "auth.list": () => {
      const tenant = kept.rows.filter(({ state }) => state === "suspended").map((row) => row.tenant);
      return [{ list: { jti: [], family: [], subject: [], tenant, fresh: 0 } }];
    },
  };
  const query = async (text: string, parameters: readonly (string | null)[] = []) => {
    const name = Object.keys(statements).find((part) => text.includes(part));
    return name === undefined ? [] : statements[name]?.(parameters);
  };
  return { kept, database: { query, close: async () => {} } };
});

vi.mock("../../shared/src/database", async (original) => ({ ...(await original()), openDatabase: () => books.database }));

const bindings = env as unknown as Env;
const operator = { "x-cog-caller": encodeCaller({ id: null, role: null, tenant: null, admin: true }) };

async function call(method: string, path: string, body?: object, headers: Record<string, string> = operator) {
  const request = new Request(`https://service${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(request as Request<unknown, IncomingRequestCfProperties>, bindings, ctx)) as Response;
  await waitOnExecutionContext(ctx);
  return { status: response.status, ...(await response.json<{ error?: string; changed?: boolean; token?: string; tenants?: Row[] }>()) };
}

const tell = (action: string, tenant: unknown = "acme", reason: unknown = "test") =>
  call("POST", "/api/admin/tenants", { action, tenant, reason });
const mint = (tid: string) => call("POST", "/auth/token", { email: "ada@example.test", tid });
const listed = async () => (await bindings.KEYS.get<{ tenant: string[] }>("revoked", "json"))?.tenant;

beforeEach(async () => {
  books.kept.rows = [];
  await bindings.KEYS.delete("revoked");
});

describe("a tenant", () => {
  it("that is not there is minted no token, and one that was added is", async () => {
    expect(await mint("acme")).toMatchObject({ status: 404, error: "unknown_tenant" });
    expect([await tell("add"), await tell("add")]).toMatchObject([
      { status: 200, changed: true, tenant: { tenant: "acme", state: "active" } },
      { status: 200, changed: false },
    ]);
    expect(await mint("acme")).toMatchObject({ status: 200, token: expect.any(String) });
    expect(await mint("acm")).toMatchObject({ status: 404 });
  });

  it("that is suspended is minted none and is in the published list, until it is resumed", async () => {
    await tell("add");
    expect([await tell("suspend"), await tell("suspend")]).toMatchObject([
      { changed: true, tenant: { state: "suspended" }, within_s: 420 },
      { changed: false },
    ]);
    expect([await listed(), await mint("acme")]).toMatchObject([["acme"], { status: 403, error: "tenant_suspended" }]);
    expect(await tell("resume")).toMatchObject({ changed: true, tenant: { state: "active", why: "test" } });
    expect([await listed(), (await mint("acme")).status]).toEqual([[], 200]);
  });

  it("is listed by name, for operators alone", async () => {
    await tell("add", "b");
    await tell("add", "a");
    expect(await call("GET", "/api/admin/tenants?after=a")).toMatchObject({ tenants: [{ tenant: "b" }], next_after: null });
    const user = { "x-cog-caller": encodeCaller({ id: "a@b.test", role: "user", tenant: null, admin: false }) };
    expect((await call("GET", "/api/admin/tenants", undefined, user)).status).toBe(403);
    expect((await call("POST", "/api/admin/tenants", { action: "add", tenant: "c", reason: "x" }, user)).status).toBe(403);
  });

  it.each([
    ["of no name", "add", "", 400, "invalid_tenant"],
    ["of a path", "add", "a/b", 400, "invalid_tenant"],
    ["of all guests", "add", "guests", 400, "invalid_tenant"],
    ["that is not there, to suspend", "suspend", "nobody", 404, "unknown_tenant"],
    ["that is not there, to resume", "resume", "nobody", 404, "unknown_tenant"],
    ["to do anything with", "constructor", "acme", 400, "unknown_action"],
  ])("%s is refused", async (_, action, tenant, status, error) => {
    expect(await tell(action, tenant)).toMatchObject({ status, error });
    expect([books.kept.rows, await listed()]).toEqual([[], undefined]);
  });

  it("is not changed without a reason", async () => {
    expect(await tell("add", "acme", "")).toMatchObject({ status: 400, error: "invalid_reason" });
  });
});
