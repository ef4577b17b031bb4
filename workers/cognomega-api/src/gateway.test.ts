import { env, SELF } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { AUTH, CORS, PATHS } from "../../shared/src/contract.gen";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import { publish } from "../../shared/src/testing/tokens";
import type { Env } from "./env.gen";
import { gateway } from "./gateway";

describeEveryWorker("cognomega-api");

beforeEach(() => publish());

const host = "https://api.cognomega.localhost";
const allowed = "https://app.cognomega.com";
const everyPath = Object.entries(PATHS).flatMap(([path, { aliases }]) => [path, ...aliases]);

const corsHeaders = (response: Response) => [...response.headers.keys()].filter((name) => name.startsWith("access-control-"));

describe("routing", () => {
  it("carries a request through to a service", async () => {
    const response = await SELF.fetch(`${host}/api/ai/binding`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ai_bound: true });
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  it.each(["/ready", ...PATHS["/ready"].aliases])("answers %s with the provider's facts", async (path) => {
    const response = await SELF.fetch(host + path);
    expect(await response.json()).toEqual({ ok: true, provider: "cfai", model: "@cf/meta/llama-3.1-8b-instruct" });
  });

  it.each(["/auth/guest", ...PATHS["/auth/guest"].aliases])("mints a guest token at %s", async (path) => {
    const response = await SELF.fetch(host + path, { method: "POST" });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/), exp: expect.any(Number) });
  });

  it("lets the JWKS be cached for its max-age", async () => {
    const response = await SELF.fetch(`${host}/.well-known/jwks.json`);
    expect(response.headers.get("cache-control")).toBe("public, max-age=300");
  });

  it.each(["/_ready", "/api/ai/binding/", "//api/ai/binding", "/api%2Fai/binding", "/API/ai/binding", "/"])(
    "does not know %s",
    async (path) => {
      const response = await SELF.fetch(host + path);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ error: "not_found" });
    },
  );

  // Whoever serves them gives them an owner check, and this test its place.
  it.each(["GET", "PATCH"])("defect 3: serves no path of jobs (%s)", async (method) => {
    for (const path of ["/api/jobs", "/api/jobs/0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11", "/api/jobs/x/download"]) {
      expect((await SELF.fetch(host + path, { method })).status).toBe(404);
    }
  });

  it("answers HEAD as GET without a body", async () => {
    const response = await SELF.fetch(`${host}/api/ai/binding`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
    expect((await SELF.fetch(`${host}/auth/guest`, { method: "HEAD" })).status).toBe(405);
  });

  it("names what a path allows in a 405", async () => {
    const response = await SELF.fetch(`${host}/api/ai/binding`, { method: "POST", body: "{}" });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    expect(await response.json()).toEqual({ error: "method_not_allowed" });
  });

  it("refuses a URL past the limit", async () => {
    expect((await SELF.fetch(`${host}/api/ai/binding?x=${"y".repeat(9000)}`)).status).toBe(414);
  });
});

describe("request ids", () => {
  it("are the ray of the edge when there is one", async () => {
    const ray = "8f2a1c0b9d3e4f56-FRA";
    const response = await SELF.fetch(`${host}/ready`, { headers: { "cf-ray": ray } });
    expect(response.headers.get("x-request-id")).toBe(ray);
  });

  it.each([
    ["nothing", {}],
    ["a forged ray", { "cf-ray": "evil" }],
    ["a caller's own id", { "x-request-id": "mine" }],
  ])("are made here for %s", async (_, headers) => {
    const response = await SELF.fetch(`${host}/no/such`, { headers: headers as Record<string, string> });
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });
});

describe("preflight", () => {
  const ask = (path: string, origin: string, extra: Record<string, string> = {}) =>
    SELF.fetch(host + path, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST", ...extra } });

  it.each(everyPath)("allows and exposes on %s", async (path) => {
    const response = await ask(path, allowed);
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
    expect(Object.fromEntries(corsHeaders(response).map((name) => [name, response.headers.get(name)]))).toEqual({
      "access-control-allow-origin": allowed,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH",
      "access-control-allow-headers":
        "Authorization, Content-Type, X-User-Email, X-Admin-Key, X-Admin-Token, X-Intelligence-Tier, X-AB-Variant, X-Client-Id, X-Client-TS, X-Project-Name, X-Project-Pages, X-Skills, X-Experiment, Idempotency-Key, Cache-Control, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, Range",
      "access-control-expose-headers":
        "Content-Type, Content-Disposition, X-Request-Id, X-Credits-Used, X-Credits-Balance, X-Tokens-In, X-Tokens-Out, X-Tokens-Limit, X-Provider, X-Model, X-Cache, Age, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy, Accept-Ranges, Content-Range, ETag",
      "access-control-max-age": "86400",
    });
    expect(response.headers.get("vary")).toBe(CORS.vary);
  });

  it("never echoes what was asked for", async () => {
    const response = await ask("/ready", allowed, { "access-control-request-headers": "x-evil" });
    expect(JSON.stringify([...response.headers])).not.toContain("x-evil");
  });

  it("gives an unknown path no promise", async () => {
    const response = await ask("/no/such", allowed);
    expect(response.status).toBe(404);
    expect(response.headers.has("access-control-allow-methods")).toBe(false);
  });

  it("answers a plain OPTIONS with Allow", async () => {
    const response = await SELF.fetch(`${host}/auth/guest`, { method: "OPTIONS" });
    expect([response.status, response.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
    expect(corsHeaders(response)).toEqual([]);
  });
});

describe("origins that are not in the list", () => {
  const strangers = [
    "null",
    "*",
    "https://evil.test",
    "http://app.cognomega.com",
    "https://app.cognomega.com.evil.test",
    "https://evil-app.cognomega.com",
    "https://app.cognomega.com:8443",
    "https://app.cognomega.com/",
    "https://APP.cognomega.com",
    "https://app.cognomega.com,https://evil.test",
    "https://xcognomega.com",
    "https://app-cognomega.com",
    "http://localhost:51730",
  ];

  it.each(strangers)("%s reads nothing", async (origin) => {
    for (const init of [{}, { method: "OPTIONS" }]) {
      const response = await SELF.fetch(`${host}/api/ai/binding`, { ...init, headers: { origin } });
      expect(corsHeaders(response)).toEqual([]);
      expect(response.headers.get("vary")).toContain("Origin");
    }
  });

  it("defect 4: an empty list lets nobody read", async () => {
    for (const list of ["", ",", " "]) {
      const request = new Request(`${host}/api/ai/binding`, { headers: { origin: allowed } });
      const response = await gateway(request, { ...(env as unknown as Env), ALLOWED_ORIGINS: list });
      expect(corsHeaders(response)).toEqual([]);
    }
  });

  it("is what an answer without Origin looks like too", async () => {
    const response = await SELF.fetch(`${host}/api/ai/binding`);
    expect(corsHeaders(response)).toEqual([]);
    expect(response.headers.get("vary")).toBe(CORS.vary);
  });
});

describe("an allowed origin", () => {
  it.each(["/api/ai/binding", "/no/such"])("may read %s, credentials and all", async (path) => {
    const response = await SELF.fetch(host + path, { headers: { origin: allowed } });
    expect(response.headers.get("access-control-allow-origin")).toBe(allowed);
    expect(response.headers.get("access-control-allow-credentials")).toBe("true");
    expect(response.headers.get("access-control-expose-headers")).toBe(CORS.exposeHeaders);
  });
});

describe("bodies", () => {
  const post = (body: BodyInit, path = "/api/ai/test") => SELF.fetch(host + path, { method: "POST", body });

  it("over the path's limit are refused by their length", async () => {
    const response = await post("x".repeat(20_000));
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: "body_too_large" });
  });

  it("over the limit are refused when nobody says how long they are", async () => {
    const chunk = new Uint8Array(4096).fill(32);
    let left = 10;
    const stream = new ReadableStream({ pull: (c) => (left-- > 0 ? c.enqueue(chunk) : c.close()) });
    expect((await post(stream)).status).toBe(413);
  });

  it("within the limit arrive whole in either way", async () => {
    const text = JSON.stringify({ prompt: "hello" });
    for (const body of [text, new Blob([text]).stream()]) {
      expect(await (await post(body)).json()).toMatchObject({ ok: true, output: expect.stringContaining("hello") });
    }
  });

  it.each(["{", "", "[]", "null", '{"prompt":"a"', "prompt=hello", "\ufeff\ufeff{}"])(
    "that are not a JSON object are 400: %j",
    async (body) => {
      const response = await post(body);
      expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ error: "invalid_json" })]);
    },
  );

  it("that are not UTF-8 are 400", async () => {
    const response = await post(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    expect(await response.json()).toMatchObject({ error: "invalid_json" });
  });
});

it("keeps the cookie's name and the admin headers of the contract", () => {
  expect([AUTH.cookie, AUTH.adminHeaders]).toEqual(["cog_auth_jwt", ["X-Admin-Key", "X-Admin-Token"]]);
  expect(env.TEST_ISSUER).toBe("https://api.cognomega.localhost");
});
