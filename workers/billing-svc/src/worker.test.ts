import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { type Balance, balanceKey, stored } from "../../shared/src/money/balance";
import { putMark } from "../../shared/src/money/mark";
import { admin, guest, user } from "../../shared/src/testing/callers";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import type { Env } from "./env.gen";
import { isFresh } from "./freshness";

describeEveryWorker("billing-svc");

const kv = (env as unknown as Env).KV_BILLING;
const refusal = async (response: Response) => [response.status, (await response.json<{ error: string }>()).error];

async function put(account: string, asOfMs: number, micro = -6150): Promise<void> {
  const balance: Balance = { account, balance: micro, held: 0, overage: 0, version: 3, updated_at_ms: asOfMs };
  await kv.put(balanceKey(account), JSON.stringify(stored(balance, asOfMs)));
}

// Nothing answers behind the database's binding here: what is answered comes from KV, or says that it cannot be had.
describe("GET credits", () => {
  const credits = (headers: Record<string, string>) => SELF.fetch("https://service/api/credits", { headers });

  it("is served from KV, with a debt as a debt (defect 2: it was clamped to 0 and forgotten)", async () => {
    await put("ada@example.test", Date.now());
    const response = await credits(user("ada@example.test"));
    expect(response.headers.get("x-cache")).toBe("HIT");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toMatchObject({
      email: "ada@example.test",
      balance_credits: -0.00615,
      credits: -0.00615,
      balance: -0.00615,
    });
  });

  it("says that a copy is stale when it is beyond the bound and the ledger is away", async () => {
    const asOf = Date.now() - 3_600_000;
    await put("stale@example.test", asOf);
    const response = await credits(user("stale@example.test"));
    expect(response.headers.get("x-cache")).toBe("STALE");
    expect(await response.json()).toMatchObject({ stale: true, as_of: new Date(asOf).toISOString() });
  });

  it("answers 503 when there is no copy and the ledger is away", async () => {
    const response = await credits(user("missing@example.test"));
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await refusal(response)).toEqual([503, "balance_unavailable"]);
  });

  it("does not take a balance of the platform before this one for its own", async () => {
    await kv.put(balanceKey("old@example.test"), '{"balance_credits":5,"updated_at":"2025-01-01T00:00:00.000Z"}');
    expect(await refusal(await credits(user("old@example.test")))).toEqual([503, "balance_unavailable"]);
  });

  it("relies on an old copy while the reconciler is at work, and looks at its mark once in a while only", async () => {
    const idle = stored({ account: "idle@example.test", balance: 1, held: 0, overage: 0, version: 1, updated_at_ms: 0 }, 0);
    const start = Date.now() + 3_600_000; // later than any mark that another test has seen
    await kv.delete("reconciled");
    expect(await isFresh(idle, kv, start)).toBe(false);
    await putMark(kv, { as_of: start, steady_since: start - 3_600_000 });
    expect(await isFresh(idle, kv, start + 4_000)).toBe(false);
    expect(await isFresh(idle, kv, start + 6_000)).toBe(true);
    expect(await isFresh(idle, kv, start + 600_000)).toBe(false); // the mark stands still
    await kv.delete("reconciled");
  });

  it("refuses a guest, who has no account", async () => {
    expect(await refusal(await credits(guest))).toEqual([403, "account_required"]);
  });
});

describe("POST adjust", () => {
  const adjust = (body: unknown, headers = admin(), more: Record<string, string> = {}) =>
    SELF.fetch("https://service/api/credits/adjust", { method: "POST", headers: { ...headers, ...more }, body: JSON.stringify(body) });

  it("is the admin key's alone, whatever the gateway lets in", async () => {
    expect(await refusal(await adjust({ email: "ada@example.test", delta: 1 }, user("ada@example.test")))).toEqual([403, "forbidden"]);
  });

  it.each([
    ["both set and delta", { email: "a@example.test", set: 1, delta: 1 }, "set_and_delta_conflict"],
    ["neither", { email: "a@example.test" }, "nothing_to_do"],
    ["nobody", { delta: 1 }, "missing_email"],
    ["a guest", { email: "guest:1", delta: 1 }, "invalid_email"],
    ["the system's account", { email: "system:revenue", delta: 1 }, "invalid_email"],
    ["text", { email: "a@example.test", delta: "1" }, "invalid_delta"],
    ["a fraction of a micro-credit", { email: "a@example.test", set: 0.0000001 }, "invalid_set"],
    ["more than there is", { email: "a@example.test", delta: 1e12 }, "invalid_delta"],
    ["a list", { email: "a@example.test", set: [] }, "invalid_set"],
  ])("refuses %s", async (_, body, code) => expect(await refusal(await adjust(body))).toEqual([400, code]));

  it("refuses a key that is too long", async () => {
    const response = await adjust({ email: "a@example.test", delta: 1 }, admin(), { "idempotency-key": "x".repeat(201) });
    expect(await refusal(response)).toEqual([400, "invalid_idempotency_key"]);
  });

  it("says that it may have been done when the ledger does not answer", async () => {
    const response = await adjust({ email: "a@example.test", delta: 1 });
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await refusal(response)).toEqual([503, "ledger_unavailable"]);
  });
});
