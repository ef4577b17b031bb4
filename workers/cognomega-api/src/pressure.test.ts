import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";

import { PATHS } from "../../shared/src/contract.gen";
import { Gauge, pressureKey } from "../../shared/src/money/pressure";
import { goodClaims, publish, signed } from "../../shared/src/testing/tokens";
import type { Env } from "./env.gen";
import { gateway } from "./gateway";

const bindings = env as unknown as Env;
const host = "https://api.cognomega.localhost";
const reading = (backlog: number, at = Date.now()) => bindings.KV_BILLING.put(pressureKey(), JSON.stringify({ at, backlog, oldest: null }));

describe("while usage is written too late", () => {
  beforeAll(async () => {
    await publish();
    await reading(100_001);
  });

  const service = { fetch: async () => new Response("{}") } as unknown as Fetcher;
  const call = async (method: string, path: string) => {
    const request = new Request(host + path, { method, headers: { authorization: `Bearer ${await signed(goodClaims())}` } });
    return gateway(request, {
      ...bindings,
      ADMIN: service,
      AUTH: service,
      BILLING: service,
      ORCHESTRATOR: service,
      RECONCILER: service,
      USAGE: service,
    });
  };

  it("turns away work that can wait, and says when to come again", async () => {
    const response = await call("POST", "/api/ai/test");
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "15"]);
    expect(await response.json()).toMatchObject({ error: "try_later" });
    expect((await call("GET", "/usage")).status).toBe(429);
  });

  it("never turns away what was used already, nor what costs nothing", async () => {
    for (const [method, path] of [
      ["POST", "/api/billing/usage"],
      ["POST", "/usage"],
      ["GET", "/api/credits"],
      ["GET", "/api/ai/binding"],
    ] as const) {
      expect((await call(method, path)).status, `${method} ${path}`).toBe(200);
    }
  });

  it("is declared: no path sheds a use that is posted", () => {
    expect(PATHS["/api/billing/usage"].sheds).toEqual(["GET"]);
  });
});

describe("a gauge", () => {
  it("goes by what it read for some seconds, then looks again", async () => {
    const gauge = new Gauge();
    const now = Date.now();
    await reading(100_001, now);
    await expect(gauge.relieve(bindings.KV_BILLING, now)).rejects.toMatchObject({ status: 429 });
    await reading(0, now);
    await expect(gauge.relieve(bindings.KV_BILLING, now + 4_999)).rejects.toMatchObject({ status: 429 });
    await expect(gauge.relieve(bindings.KV_BILLING, now + 5_000)).resolves.toBeUndefined();
  });

  it("lets everybody through when KV does not answer", async () => {
    const broken = { get: () => Promise.reject(new Error("down")) } as unknown as KVNamespace;
    await expect(new Gauge().relieve(broken, Date.now())).resolves.toBeUndefined();
  });
});
