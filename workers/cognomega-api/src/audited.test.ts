import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { type NoteLine, noted } from "../../shared/src/admin-note";
import { json } from "../../shared/src/problem";
import { goodClaims, publish, signed } from "../../shared/src/testing/tokens";
import type { Env } from "./env.gen";
import { gateway } from "./gateway";

const host = "https://api.cognomega.localhost";
const adminKey = env.TEST_ADMIN_API_KEY;
const operator = { "x-admin-key": adminKey, "x-admin-actor": "ann", "cf-connecting-ip": "192.0.2.1", "x-user-email": "B@b.test" };

beforeEach(() => publish());

interface World {
  readonly log?: (lines: NoteLine[]) => Response;
  readonly answer?: () => Response;
}

/** Calls the gateway before services that answer as told, and an admin log that may be away. */
async function call(method: string, path: string, headers: Record<string, string>, world: World = {}) {
  const lines: NoteLine[] = [];
  let asked = 0;
  let settled: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    settled = resolve;
  });
  const fetchService = async (url: string, init: RequestInit) => {
    if (!url.endsWith("/_note")) {
      asked++;
      return (world.answer ?? (() => noted(json({ ok: true }), { account: "ü@b.test" })))();
    }
    const given = (JSON.parse(init.body as string) as { lines: NoteLine[] }).lines;
    const answer = (world.log ?? (() => json({ ok: true })))(given);
    if (answer.ok) {
      lines.push(...given);
    }
    if (given.some(({ phase }) => phase === "answered")) {
      settled();
    }
    return answer;
  };
  const service = { fetch: fetchService } as unknown as Fetcher;
  const bindings = { ...(env as unknown as Env), ADMIN: service, AUTH: service, BILLING: service, FILES: service, USAGE: service };
  const init = method === "GET" ? { headers } : { method, headers, body: "{}" };
  const response = await gateway(new Request(host + path, init), bindings);
  return { response, lines, ended, asked: () => asked };
}

const away = () => json({ error: "admin_log_unavailable" }, 503);

describe("a call with the admin key", () => {
  it.each(["/api/credits/adjust", "/auth/token", "/auth/revoke"])(
    "of %s is kept with who, what, when it was asked, and its outcome",
    async (path) => {
      const { response, lines, ended } = await call("POST", path, operator);
      await ended;
      expect(response.headers.get("x-cog-note")).toBeNull();
      const line = {
        call: lines[0]?.call,
        request_id: response.headers.get("x-request-id"),
        action: `POST ${path}`,
        actor: "ann",
        acting_for: "b@b.test",
      };
      expect(lines).toEqual([
        { phase: "asked", address: "192.0.2.1", ...line },
        { phase: "answered", address: "192.0.2.1", ...line, status: 200, error: null, detail: { account: "ü@b.test" } },
      ]);
      expect(JSON.stringify(lines)).not.toContain(adminKey);
    },
  );

  it.each([
    ["a reading of another's balance", "GET", "/api/credits"],
    ["a reading of another's usage", "GET", "/api/billing/usage"],
    ["a use in another's name", "POST", "/api/billing/usage"],
    ["a reading of an operator's path", "GET", "/api/admin/ping"],
    ["a deletion of another's file", "DELETE", "/api/files/:key"],
  ])("is kept, be it %s", async (_, method, path) => {
    const { response, lines, ended } = await call(method, path.replace(":key", "uploads%2Fa%2Fb.txt"), operator, {
      answer: () => json({ ok: true }),
    });
    await ended;
    const detail = path.includes(":") ? { path: "/api/files/uploads%2Fa%2Fb.txt" } : undefined;
    expect([response.status, lines.map(({ phase }) => phase)]).toEqual([200, ["asked", "answered"]]);
    expect(lines[1]).toMatchObject({ action: `${method} ${path}`, actor: "ann", acting_for: "b@b.test", status: 200 });
    expect(lines[1]?.detail).toEqual(detail);
  });

  it("that is refused is kept with the refusal, and its caller reads it too", async () => {
    const { response, lines } = await call("POST", "/api/credits/adjust", operator, {
      answer: () => json({ error: "nothing_to_do" }, 400),
    });
    expect(lines[1]).toMatchObject({ phase: "answered", status: 400, error: "nothing_to_do" });
    expect(await response.json()).toEqual({ error: "nothing_to_do" });
  });

  it("whose service fails is kept with what the gateway says", async () => {
    const fail = () => {
      throw new Error("connection lost");
    };
    const { response, lines } = await call("POST", "/api/credits/adjust", operator, { answer: fail });
    expect([response.status, lines[1]?.status, lines[1]?.error]).toEqual([502, 502, "service_failed"]);
  });
});

describe("without the log", () => {
  it("nothing is done that has to be kept before", async () => {
    const { response, asked } = await call("POST", "/api/credits/adjust", operator, { log: away });
    expect([response.status, await response.json(), asked()]).toEqual([
      503,
      expect.objectContaining({ error: "admin_log_unavailable" }),
      0,
    ]);
  });

  it("no file of another's is deleted", async () => {
    const { response, asked } = await call("DELETE", "/api/files/a", operator, { log: away });
    expect([response.status, asked()]).toEqual([503, 0]);
  });

  it.each([
    ["sign-ins go on", "POST", "/auth/token"],
    ["usage is taken", "POST", "/api/billing/usage"],
    ["what only reads is answered", "GET", "/api/credits"],
  ])("%s, and the Worker's own log has the line", async (_, method, path) => {
    const { response, asked, ended } = await call(method, path, operator, { log: away });
    await ended;
    expect([response.status, asked()]).toEqual([200, 1]);
  });

  it("what was done stays done when its outcome cannot be kept", async () => {
    const log = ([line]: NoteLine[]) => (line?.phase === "asked" ? json({ ok: true }) : away());
    const { response, lines } = await call("POST", "/api/credits/adjust", operator, { log });
    expect([response.status, lines.length]).toEqual([200, 1]);
  });
});

describe("what is not kept", () => {
  it.each([
    ["what a key that is wrong asked for", "POST", "/api/credits/adjust", { ...operator, "x-admin-key": "wrong" }],
    ["a holder's own revocation", "POST", "/auth/revoke", {}],
  ])("is %s", async (_, method, path, headers) => {
    expect((await call(method, path, headers)).lines).toEqual([]);
  });

  it("is a user's call, whoever they say they are", async () => {
    const headers = { authorization: `Bearer ${await signed(goodClaims())}`, "x-admin-actor": "root" };
    expect((await call("POST", "/auth/revoke", headers)).lines).toEqual([]);
  });
});
