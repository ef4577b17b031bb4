import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";

import { balanceKey, stored } from "../../shared/src/money/balance";
import type { UsageEvent } from "../../shared/src/money/usage";
import { admin, guest, user } from "../../shared/src/testing/callers";
import { charge } from "./charge";
import type { Env } from "./env.gen";
import { meter } from "./known";
import worker from "./worker";

const bound = env as unknown as Env;
meter.gatherMs = 0;
const sse = { accept: "text/event-stream" };
const ada = user("ada@example.test");

/** Asks a Worker whose queue keeps what it is sent, and gives what it does with the body and afterwards. */
async function ask(
  headers: Record<string, string>,
  given: { path?: string; body?: object; read?: (r: Response) => Promise<unknown> } = {},
) {
  const sent: UsageEvent[] = [];
  const USAGE = {
    sendBatch: async (batch: { body: UsageEvent }[]) => void sent.push(...batch.map(({ body }) => body)),
  } as unknown as Queue;
  const { path = "/api/si/ask", body = { skill: "explain", input: "hi" }, read = (r) => r.text() } = given;
  const request = new Request(`https://service${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const ctx = createExecutionContext();
  const response = (await worker.fetch?.(request as never, { ...bound, USAGE }, ctx)) as Response;
  const text = await read(response);
  await waitOnExecutionContext(ctx);
  return { response, sent, text };
}

const input = (how: object) => ({ skill: "explain", input: how });

describe("an answer is charged once", () => {
  it("with who gave it, for what, and every attempt", async () => {
    const { response, sent } = await ask(ada, { body: input({ groq: "500" }) });
    expect(sent).toEqual([
      {
        v: 1,
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
        kind: "usage",
        account: "ada@example.test",
        amount: 1750,
        at_ms: expect.any(Number),
        meta: {
          route: "/api/si/ask",
          tokens_in: 30,
          tokens_out: 5,
          provider: "cfai",
          model: "@cf/meta/llama-3.1-8b-instruct",
          skill: "explain",
          finish: "stop",
          attempts: expect.stringMatching(
            /^groq llama-3.1-8b-instant failed \d+ ms, cfai @cf\/meta\/llama-3.1-8b-instruct answered \d+ ms$/,
          ),
          request_id: "test-request",
        },
      },
    ]);
    expect([response.headers.get("x-tokens-in"), response.headers.get("x-credits-used")]).toEqual(["30", "0.002"]);
  });

  it.each([
    ["/api/v1/llm/complete", { prompt: "hi" }],
    ["/v1/chat/completions", { model: "human", messages: [{ role: "user", content: "hi" }] }],
    ["/v1/chat/completions", { model: "human", messages: [{ role: "user", content: "hi" }], stream: true }],
  ])("at %s", async (path, body) => {
    const { sent } = await ask(ada, { path, body });
    expect(sent.map(({ amount, meta }) => [amount, meta.route])).toEqual([[1250, path]]);
  });

  it("at the end of a stream, also of one that another model finished", async () => {
    const plain = await ask({ ...ada, ...sse });
    expect(plain.sent.map(({ amount }) => amount)).toEqual([1250]);
    const cut = await ask({ ...ada, ...sse }, { body: input({ groq: "cut" }) });
    expect(cut.sent).toHaveLength(1);
    expect(cut.sent[0]?.meta.attempts).toMatch(/^groq \S+ cut \d+ ms, cfai \S+ answered/);
    expect(cut.text).toContain(`"credits_used":${((cut.sent[0]?.amount ?? 0) / 1e6).toFixed(3)}`);
  });

  it("when the caller leaves a stream: what was generated", async () => {
    const leave = async (response: Response) => {
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.cancel();
    };
    const { sent } = await ask({ ...ada, ...sse }, { body: input({ groq: "stall" }), read: leave });
    expect(sent).toHaveLength(1);
    const { tokens_out, finish, attempts } = (sent[0] as UsageEvent).meta;
    expect([tokens_out, finish]).toEqual([expect.any(Number), "left"]);
    expect(tokens_out).toBeLessThan(5);
    expect(tokens_out).toBeGreaterThan(0);
    expect(attempts).toMatch(/^groq \S+ left \d+ ms$/);
  });

  it("under a key: the same request has one id, and what is given again is not charged again", async () => {
    const keyed = { ...ada, "idempotency-key": "charge-1" };
    const first = await ask(keyed);
    expect(first.sent).toHaveLength(1);
    const again = await ask(keyed);
    expect([again.response.headers.get("x-cache"), again.sent]).toEqual(["HIT", []]);
    expect((await ask({ ...keyed, ...sse })).sent).toEqual([]);
    for (const { name } of (await bound.KV.list({ prefix: "answer:" })).keys) {
      await bound.KV.delete(name); // as if another place did not know of it yet
    }
    const elsewhere = await ask(keyed);
    expect(elsewhere.sent.map(({ id }) => id)).toEqual([first.sent[0]?.id]);
    const bob = await ask({ ...user("bob@example.test"), "idempotency-key": "charge-1" });
    expect(bob.sent[0]?.id).not.toBe(first.sent[0]?.id);
  });

  it("under a key: a caller that leaves cannot have another answer for nothing", async () => {
    const keyed = { ...ada, ...sse, "idempotency-key": "charge-2" };
    const leave = async (response: Response) => response.body?.cancel();
    const a = await ask(keyed, { body: input({ groq: "stall" }), read: leave });
    const b = await ask(keyed, { body: input({ groq: "stall", another: "question" }), read: leave });
    expect(b.sent[0]?.id).not.toBe(a.sent[0]?.id);
  });

  it("to the account that the admin key acts for, and to nobody for nobody", async () => {
    expect((await ask(admin("ada@example.test"))).sent[0]?.account).toBe("ada@example.test");
    const nobody = await ask(admin());
    expect([nobody.response.status, nobody.text, nobody.sent]).toEqual([400, expect.stringContaining("missing_email"), []]);
  });
});

describe("nothing is charged", () => {
  it("to a guest", async () => {
    const { response, sent } = await ask(guest);
    expect([response.status, response.headers.get("x-credits-balance"), sent]).toEqual([200, null, []]);
    expect((await ask({ ...guest, ...sse })).sent).toEqual([]);
  });

  it.each([
    ["an answer", {}, { groq: "400", cfai: "empty", openai: "500" }],
    ["a stream", sse, { groq: "cut", cfai: "cut0", openai: "500" }],
  ])("for %s that fails on all models", async (_, accept, how) => {
    const { sent, text } = await ask({ ...ada, ...accept }, { body: input(how) });
    expect(text).toContain("models_unavailable");
    expect(sent).toEqual([]);
  });
});

describe("the balance that goes with an answer", () => {
  it("is what KV says", async () => {
    const balance = { account: "rich@example.test", balance: 12_345_600, held: 0, overage: 0, version: 1, updated_at_ms: 0 };
    await bound.KV_BILLING.put(balanceKey(balance.account), JSON.stringify(stored(balance, Date.now())));
    for (const headers of [{}, sse]) {
      expect((await ask({ ...user(balance.account), ...headers })).response.headers.get("x-credits-balance")).toBe("12.346");
    }
  });

  it("is left out when KV says nothing, and an answer is given all the same", async () => {
    const { response } = await ask(user("unknown@example.test"));
    expect([response.status, response.headers.get("x-credits-balance")]).toEqual([200, null]);
  });
});

describe("a queue that does not take it", () => {
  afterEach(() => vi.restoreAllMocks());
  const events = ["one", "two"].map((id) => ({ id, amount: 7 }) as UsageEvent);

  it("is asked again, with the same events", async () => {
    const tried: unknown[] = [];
    const sendBatch = async (batch: Iterable<{ body: unknown }>) => {
      tried.push([...batch].map(({ body }) => body));
      if (tried.length < 3) throw new Error("queue down");
    };
    const error = vi.spyOn(console, "error");
    await charge({ sendBatch } as unknown as Queue, events, [1, 1, 1]);
    expect([tried, error.mock.calls]).toEqual([[events, events, events], []]);
  });

  it("leaves every event in the log in the end, whole", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    await charge({ sendBatch: () => Promise.reject(new Error("queue down")) } as unknown as Queue, events, [1, 1]);
    expect(error.mock.calls.map(([line]) => JSON.parse(line))).toEqual(
      events.map((event) => ({ worker: "orchestrator-svc", what: "usage not queued", cause: "Error: queue down", event })),
    );
  });
});
