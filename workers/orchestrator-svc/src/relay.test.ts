import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { MODELS } from "../../shared/src/contract.gen";
import { KEYS, key } from "../../shared/src/keys";
import { Breakers, type Sharing, type Target } from "./breakers";
import type { Env } from "./env.gen";
import type { Answer, Relay } from "./journey";
import { providersOf } from "./provider";
import { relayStream } from "./relay-stream";
import { relayWhole } from "./relay-whole";
import type { Question } from "./wire";

const bindings = { ...(env as unknown as Env), GROQ_API_KEY: "k", OPENAI_API_KEY: "k" };
const targets: Target[] = [
  { provider: "groq", model: "g" },
  { provider: "cfai", model: "@cf/c" },
  { provider: "openai", model: "o" },
];
const sentence = "One two three four five";

let pending: Promise<unknown>[];
let sharing: Sharing;

beforeEach(async () => {
  pending = [];
  sharing = { kv: bindings.KV, waitUntil: (promise) => pending.push(promise) };
  for (const { name } of (await bindings.KV.list()).keys) {
    await bindings.KV.delete(name);
  }
});

/** A relay over the doubles, with breakers of its own and little patience. */
function relayTo(order: string[], change: Partial<Relay> = {}): Relay {
  return {
    targets: order.map((p) => targets.find(({ provider }) => provider === p) as Target),
    providers: providersOf(bindings),
    breakers: new Breakers(MODELS.breaker, Date.now),
    sharing,
    times: { firstTokenMs: 60, answerMs: 60, gapMs: 60, overallMs: 2_000 },
    ...change,
  };
}

const question = (how: Record<string, string>): Question => ({ messages: [{ role: "user", content: JSON.stringify(how) }], maxTokens: 50 });

/** Reads a stream to its end. */
async function read(relay: Relay, how: Record<string, string>): Promise<{ deltas: string[]; answer: Answer }> {
  const deltas: string[] = [];
  const stream = relayStream(relay, question(how));
  for (;;) {
    const { done, value } = await stream.next();
    if (done) {
      return { deltas, answer: value };
    }
    deltas.push(value.text);
  }
}

const outcomes = ({ attempts }: Answer) => attempts.map(({ provider, outcome }) => `${provider} ${outcome}`);

const chatFaults = {
  refuse: "unreachable",
  "530": "unreachable",
  "525": "unreachable",
  lost: "unreachable",
  "401": "denied",
  "402": "unpaid",
  "429": "limited",
  "429:7": "limited",
  "500": "failed",
  silent: "late",
  html: "malformed",
  empty: "empty",
  malformed: "malformed",
};
const streamFaults = {
  cut: "cut",
  cut0: "cut",
  stall: "stalled",
  stall0: "late",
  broken: "cut",
  broken0: "unreachable",
  malformed0: "malformed",
  unfinished: "cut",
};
const aiFaults = { "402": "unpaid", "429": "limited", "500": "failed", silent: "late", empty: "empty", malformed: "malformed" };
const aiStreamFaults = { cut: "cut", cut0: "cut", stall: "stalled", stall0: "late", malformed0: "malformed" };

const cases = (["groq", "openai", "cfai"] as const).flatMap((provider) => {
  const inPieces = provider === "cfai" ? aiStreamFaults : streamFaults;
  const both = provider === "cfai" ? aiFaults : chatFaults;
  const rows = (faults: object, streaming: boolean) =>
    Object.entries(faults).map(([fault, outcome]) => [provider, streaming ? "a stream" : "an answer", fault, outcome as string] as const);
  return [...rows(both, false), ...rows(both, true), ...rows(inPieces, true)];
});

describe("while one provider lives, a caller is answered", () => {
  it.each(cases)("%s, asked for %s, meets %s", async (dead, way, fault, outcome) => {
    const order = [dead, ...["groq", "openai", "cfai"].filter((p) => p !== dead)];
    const relay = relayTo(order);
    const how = { [dead]: fault };
    const { answer, deltas } = way === "a stream" ? await read(relay, how) : { answer: await relayWhole(relay, question(how)), deltas: [] };
    // All words came and no end: whoever is asked next has nothing to add, and the third confirms it.
    const more = fault === "unfinished" ? [`${order[2]} answered`] : [];
    expect(outcomes(answer)).toEqual([`${dead} ${outcome}`, `${order[1]} answered`, ...more]);
    expect(answer.text).toBe(sentence);
    expect(way === "a stream" ? deltas.join("") : sentence).toBe(sentence);
  });

  it.each(Object.keys(streamFaults))("two die of %s in the middle, and the third goes on", async (fault) => {
    const { answer, deltas } = await read(relayTo(["groq", "openai", "cfai"]), { groq: fault, openai: fault });
    expect(deltas.join("")).toBe(sentence);
    expect(answer.provider).toBe("cfai");
  });

  it("a model that begins again repeats nothing to the caller", async () => {
    const { deltas } = await read(relayTo(["groq", "openai"]), { groq: "cut", openai: "again" });
    expect(deltas.join("")).toBe(sentence);
  });

  it("charges one text once, whoever wrote it", async () => {
    const how = { groq: "cut" };
    const { answer } = await read(relayTo(["groq", "openai"]), how);
    expect([answer.tokensIn, answer.tokensOut]).toEqual([Math.ceil(JSON.stringify(how).length / 4), Math.ceil(sentence.length / 4)]);
    const whole = await read(relayTo(["openai"]), {});
    expect([whole.answer.tokensIn, whole.answer.tokensOut]).toEqual([20, 5]);
  });
});

describe("when none lives", () => {
  it.each([
    [{ groq: "500", cfai: "500", openai: "500" }, 503, "models_unavailable"],
    [{ groq: "silent", cfai: "silent", openai: "silent" }, 503, "models_unavailable"],
    [{ groq: "400", openai: "400" }, 400, "input_rejected"],
  ])("%j is a problem that says so", async (how, status, code) => {
    const order = Object.keys(how);
    await expect(relayWhole(relayTo(order), question(how))).rejects.toMatchObject({ status, code });
    await expect(read(relayTo(order), how)).rejects.toMatchObject({ status, code });
  });

  it("the overall time ends the search", async () => {
    const times = { firstTokenMs: 60, answerMs: 60, gapMs: 60, overallMs: 70 };
    const how = { groq: "silent", cfai: "silent", openai: "silent" };
    const relay = relayTo(Object.keys(how), { times });
    await expect(relayWhole(relay, question(how))).rejects.toMatchObject({ status: 504, code: "models_timeout" });
  });

  it("no provider is configured", async () => {
    await expect(relayWhole(relayTo(["groq"], { providers: {} }), question({}))).rejects.toMatchObject({ status: 503, code: "ai_unbound" });
  });
});

describe("breakers", () => {
  it("stop all calls to a model that failed three times, and say when to come again", async () => {
    const relay = relayTo(["groq"]);
    for (let n = 0; n < 3; n++) {
      await expect(relayWhole(relay, question({ groq: "500" }))).rejects.toMatchObject({ code: "models_unavailable" });
    }
    const refused = relayWhole(relay, question({ groq: "ok" }));
    await expect(refused).rejects.toMatchObject({ status: 503, headers: { "retry-after": "20" } });
  });

  it.each(["401", "402", "429:7"])("open at once on %s", async (fault) => {
    const relay = relayTo(["groq", "openai"]);
    await relayWhole(relay, question({ groq: fault }));
    expect(outcomes(await relayWhole(relay, question({})))).toEqual(["openai answered"]);
  });

  it("are known to the next isolate, and their closing too", async () => {
    let now = Date.now();
    const isolate = () => relayTo(["groq", "openai"], { breakers: new Breakers(MODELS.breaker, () => now) });
    await relayWhole(isolate(), question({ groq: "401" }));
    await Promise.all(pending);
    const second = isolate();
    expect(outcomes(await relayWhole(second, question({})))).toEqual(["openai answered"]);
    now += MODELS.breaker.deniedMs;
    expect(outcomes(await relayWhole(second, question({})))).toEqual(["groq answered"]);
    await Promise.all(pending);
    now -= MODELS.breaker.deniedMs - 1;
    expect(outcomes(await relayWhole(isolate(), question({})))).toEqual(["groq answered"]);
  });

  it("do without the others when what is stored is no breaker", async () => {
    await bindings.KV.put(key(KEYS.breaker, { provider: "groq", model: "g" }), `{"openUntil":"for ever"}`);
    expect(outcomes(await relayWhole(relayTo(["groq"]), question({})))).toEqual(["groq answered"]);
  });

  it("give up a probe whose caller went away", async () => {
    let now = Date.now();
    const relay = relayTo(["groq"], { breakers: new Breakers(MODELS.breaker, () => now) });
    await expect(relayWhole(relay, question({ groq: "401" }))).rejects.toMatchObject({ status: 503 });
    now += MODELS.breaker.deniedMs;
    const stream = relayStream(relay, question({}));
    await stream.next();
    await expect(relayWhole(relay, question({}))).rejects.toMatchObject({ status: 503 });
    await stream.return(undefined as never);
    expect(outcomes(await relayWhole(relay, question({})))).toEqual(["groq answered"]);
  });
});
