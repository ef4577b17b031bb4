import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { anonymous, decodeCaller } from "../../shared/src/caller";
import { PATHS } from "../../shared/src/contract.gen";
import { goodClaims, publish, signed, unsigned } from "../../shared/src/testing/tokens";
import type { Env } from "./env.gen";
import { forward } from "./forward";
import { gateway } from "./gateway";
import { Incoming } from "./incoming";
import { findTarget, type Target } from "./table";

const host = "https://api.cognomega.localhost";
const bindings = env as unknown as Env;
const adminKey = env.TEST_ADMIN_API_KEY;

beforeEach(() => publish());

/** Calls the gateway before a service that records what reaches it and answers as told. */
async function call(
  path: string,
  init: RequestInit = {},
  answer: (request: Request) => Response | Promise<Response> = () => new Response("{}"),
) {
  const seen: Request[] = [];
  const service = {
    fetch: async (url: string, inner: RequestInit) => {
      const request = new Request(url, inner);
      seen.push(request);
      return answer(request);
    },
  } as unknown as Fetcher;
  const response = await gateway(new Request(host + path, init), { ...bindings, AUTH: service, ORCHESTRATOR: service });
  return { response, seen, inward: seen[0], caller: decodeCaller(seen[0]?.headers.get("x-cog-caller") ?? null) };
}

const path = "/api/ai/binding";
const user = () => signed(goodClaims());
const bearer = async () => ({ authorization: `Bearer ${await user()}` });

describe("what a service sees of a request", () => {
  it("is the canonical path, the query and nothing of the credentials", async () => {
    const headers = {
      ...(await bearer()),
      cookie: "a=b",
      accept: "application/json",
      "x-client-id": "c1",
      "x-forwarded-host": "evil.test",
    };
    const { inward, caller } = await call(`${path}?limit=3`, { headers });
    expect(new URL(inward?.url ?? "").pathname + new URL(inward?.url ?? "").search).toBe("/api/ai/binding?limit=3");
    expect([...(inward?.headers.keys() ?? [])].sort()).toEqual(["accept", "x-client-id", "x-cog-caller", "x-request-id"]);
    expect(caller).toEqual({ id: "a@example.test", role: "user", tenant: null, admin: false });
  });

  it("is where the caller is on the paths alone that need it", async () => {
    const headers = { "cf-connecting-ip": "192.0.2.1", "cf-ipcountry": "NL" };
    const [guest, other] = [await call("/auth/guest", { method: "POST", headers }), await call(path, { headers })];
    expect([guest.inward?.headers.get("cf-connecting-ip"), guest.inward?.headers.get("cf-ipcountry")]).toEqual(["192.0.2.1", "NL"]);
    expect([...(other.inward?.headers.keys() ?? [])]).toEqual(["x-request-id"]);
  });

  it("is of the version that the caller pins", async () => {
    const pinned = {
      "cloudflare-workers-version-overrides": 'orchestrator-svc="dc8dcd28-271b-4367-9840-6c244f84cb40"',
      "cloudflare-workers-version-key": "k",
    };
    const { inward } = await call(path, { headers: pinned });
    expect(Object.fromEntries(inward?.headers ?? [])).toMatchObject(pinned);
  });

  it("is an alias's own path", async () => {
    const { inward } = await call("/api/v1/auth/guest", { method: "POST" });
    expect(new URL(inward?.url ?? "").pathname).toBe("/auth/guest");
  });

  it.each([
    ["x-cog-caller", JSON.stringify({ id: "root", role: "user", tenant: null, admin: true })],
    ["X-COG-CALLER", `{"admin":true}`],
    ["x_cog_caller", `{"admin":true}`],
    ["x-request-id", "forged"],
    ["x_user_email", "victim@example.test"],
  ])("has nothing of an outsider's %s", async (name, value) => {
    const { inward, caller, response } = await call(path, { headers: { [name]: value } });
    expect(caller).toEqual({ id: null, role: null, tenant: null, admin: false });
    expect(JSON.stringify([...(inward?.headers ?? [])])).not.toContain(value);
    expect(response.headers.get("x-request-id")).not.toBe("forged");
  });

  it("carries a name outside of ASCII", async () => {
    const token = await signed({ ...goodClaims(), email: "jürgen@exämple.test" });
    const { caller } = await call(path, { headers: { authorization: `Bearer ${token}` } });
    expect(caller.id).toBe("jürgen@exämple.test");
  });
});

describe("identity", () => {
  it("comes from the cookie when there is no header", async () => {
    const { caller } = await call(path, { headers: { cookie: `x=1; cog_auth_jwt=${await user()}` } });
    expect(caller.id).toBe("a@example.test");
  });

  it.each(["a@example.test", "A@Example.test", " a@example.test "])("may be repeated by an old client as %j", async (email) => {
    const { response } = await call(`${path}?email=${encodeURIComponent(email)}`, {
      headers: { ...(await bearer()), "x-user-email": email },
    });
    expect(response.status).toBe(200);
  });

  it.each([
    ["?email= of another", "?email=victim@example.test", {}],
    ["X-User-Email of another", "", { "x-user-email": "victim@example.test" }],
    ["its own and another's", "?email=a@example.test&email=victim@example.test", {}],
    ["two headers", "", { "x-user-email": "a@example.test, victim@example.test" }],
    ["an escaped parameter", "?%65mail=victim%40example.test", {}],
    ["an empty one", "?email=", {}],
  ])("cannot be changed by %s", async (_, query, headers) => {
    const { response, seen } = await call(path + query, { headers: { ...(await bearer()), ...(headers as Record<string, string>) } });
    expect([response.status, await response.json()]).toEqual([403, expect.objectContaining({ error: "identity_mismatch" })]);
    expect(seen).toEqual([]);
  });

  it.each([
    ["?email=victim@example.test", {}],
    ["", { "x-user-email": "victim@example.test" }],
  ])("cannot be claimed without a token: %s", async (query, headers) => {
    const { response, seen } = await call(path + query, { headers: headers as Record<string, string> });
    expect([response.status, seen.length]).toEqual([403, 0]);
  });

  it("of a decoded but unverified token counts for nothing", async () => {
    const { response, seen } = await call(path, { headers: { authorization: `Bearer ${unsigned(goodClaims())}` } });
    expect([response.status, await response.json()]).toEqual([401, expect.objectContaining({ error: "token_invalid" })]);
    expect(response.headers.get("www-authenticate")).toContain("Bearer");
    expect(seen).toEqual([]);
  });

  it.each([
    [
      "two Authorization headers",
      async () => [
        ["authorization", `Bearer ${await user()}`],
        ["authorization", `Bearer ${await user()}`],
      ],
    ],
    ["Basic", async () => [["authorization", "Basic YTpi"]]],
    ["Bearer with nothing", async () => [["authorization", "Bearer "]]],
    ["two cookies", async () => [["cookie", `cog_auth_jwt=${await user()}; cog_auth_jwt=${await user()}`]]],
  ] as [string, () => Promise<[string, string][]>][])("is refused from %s", async (_, headers) => {
    const { response, seen } = await call(path, { headers: await headers() });
    expect([response.status, seen.length]).toEqual([401, 0]);
  });

  it("is not looked at where none is needed, so that a stale cookie cannot lock anyone out", async () => {
    const { response, caller } = await call("/auth/guest", {
      method: "POST",
      headers: { cookie: "cog_auth_jwt=stale", authorization: "Bearer x" },
    });
    expect([response.status, caller.id]).toEqual([200, null]);
  });
});

describe("the admin key", () => {
  it.each(["x-admin-key", "x-admin-token"])("opens an admin path in %s, and acts for whom it names", async (name) => {
    const { caller } = await call("/auth/token", { method: "POST", headers: { [name]: adminKey, "x-user-email": "B@example.test" } });
    expect(caller).toEqual({ id: "b@example.test", role: null, tenant: null, admin: true });
  });

  it.each([
    ["a wrong key", { "x-admin-key": "test-admin-kez" }, 401],
    ["a key cut short", { "x-admin-key": "test-admin-ke" }, 401],
    ["an empty key", { "x-admin-key": "" }, 401],
    ["a wrong key beside the right one", { "x-admin-key": "wrong", "x-admin-token": adminKey }, 401],
    ["no key", {}, 401],
  ])("does not open for %s", async (_, headers, status) => {
    const { response, seen } = await call("/auth/token", { method: "POST", headers: headers as Record<string, string> });
    expect([response.status, seen.length]).toEqual([status, 0]);
  });

  it("is not replaced by a user's token", async () => {
    const { response } = await call("/auth/token", { method: "POST", headers: await bearer() });
    expect([response.status, await response.json()]).toEqual([403, expect.objectContaining({ error: "forbidden" })]);
  });

  it("opens for nobody when none is configured", async () => {
    const request = new Request(`${host}/auth/token`, { method: "POST", headers: { "x-admin-key": "" } });
    const response = await gateway(request, { ...bindings, ADMIN_API_KEY: "" });
    expect(response.status).toBe(401);
  });
});

describe("a cookie from a page of another origin", () => {
  const post = async (origin: string) =>
    call("/api/ai/test", { method: "POST", body: "{}", headers: { origin, cookie: `cog_auth_jwt=${await user()}` } });

  it.each(["https://evil.test", "null"])("causes nothing from %s", async (origin) => {
    const { response, seen } = await post(origin);
    expect([response.status, seen.length]).toEqual([403, 0]);
  });

  it("counts from an allowed one", async () => {
    expect((await post("https://app.cognomega.com")).response.status).toBe(200);
  });
});

describe("a service's answer", () => {
  it("loses any CORS header of its own: there is one layer", async () => {
    const headers = { "access-control-allow-origin": "*", "access-control-allow-private-network": "true", vary: "Accept", "x-kept": "1" };
    for (const origin of ["https://evil.test", "https://app.cognomega.com"]) {
      const { response } = await call(path, { headers: { origin } }, () => new Response("{}", { headers }));
      expect(response.headers.get("access-control-allow-origin")).toBe(origin === "https://evil.test" ? null : origin);
      expect(response.headers.has("access-control-allow-private-network")).toBe(false);
      expect(response.headers.get("vary")).toBe("Accept, Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
      expect(response.headers.get("x-kept")).toBe("1");
    }
  });

  it("keeps its status, its body and every cookie", async () => {
    const headers: [string, string][] = [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ];
    const { response } = await call(path, {}, () => new Response("teapot", { status: 418, headers }));
    expect([response.status, await response.text(), response.headers.getSetCookie()]).toEqual([418, "teapot", ["a=1", "b=2"]]);
  });

  it("that is a redirect is passed on, not followed", async () => {
    const { response, seen } = await call(
      path,
      {},
      () => new Response(null, { status: 302, headers: { location: "https://elsewhere.test" } }),
    );
    expect([response.status, seen.length]).toEqual([302, 1]);
  });

  it("that fails is 502, and says no more", async () => {
    const { response } = await call(path, { headers: { origin: "https://app.cognomega.com" } }, () => {
      throw new Error("secret of the inside");
    });
    expect([response.status, await response.json()]).toEqual([502, { error: "service_failed" }]);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.cognomega.com");
  });

  const services = Object.entries(PATHS).filter(([, { binding }]) => binding !== null);

  it.each(services)("of %s that hangs, throws or is missing is 504 or 502, and says no more", async (at, { binding }) => {
    const target = findTarget(at)?.value as Target;
    const inward = { resource: at, caller: anonymous, requestId: "r", timeoutMs: 5 };
    const behind: [Fetcher, number, string][] = [
      [{ fetch: () => new Promise(() => {}) } as unknown as Fetcher, 504, "service_timeout"],
      [{ fetch: () => Promise.reject(new Error("secret of the inside")) } as unknown as Fetcher, 502, "service_failed"],
      [({} as Record<string, Fetcher>)[binding as string] as Fetcher, 502, "service_failed"],
    ];
    for (const [service, status, code] of behind) {
      const answer = forward(new Incoming(new Request(host + at)), service, target, inward);
      await expect(answer).rejects.toMatchObject({ status, code, detail: undefined });
    }
  });

  it("has the time that the contract gives its service, or its body's stream", () => {
    const times = ["/auth/guest", "/api/billing/usage", "/api/files", "/api/files/:key", "/ready"].map(
      (at) => findTarget(at)?.value.timeoutMs,
    );
    expect(times).toEqual([20_000, 10_000, 900_000, 30_000, 30_000]);
  });

  it("that does not begin in time is 504", async () => {
    const target = findTarget(path)?.value;
    const inward = { resource: path, caller: anonymous, requestId: "r", timeoutMs: 5 };
    const stalled = { fetch: () => new Promise(() => {}) } as unknown as Fetcher;
    const answer = forward(new Incoming(new Request(host + path)), stalled, target as Target, inward);
    await expect(answer).rejects.toMatchObject({ status: 504, code: "service_timeout" });
  });
});
