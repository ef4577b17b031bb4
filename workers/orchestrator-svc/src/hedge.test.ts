import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { MODELS } from "../../shared/src/contract.gen";
import { randomOf } from "../../shared/src/testing/random";
import { Breakers, type Target } from "./breakers";
import type { Env } from "./env.gen";
import { Failure } from "./failure";
import { HedgeBudget } from "./hedge";
import type { Answer, Relay } from "./journey";
import type { Provider } from "./provider";
import { relayStream } from "./relay-stream";
import { relayWhole } from "./relay-whole";
import type { Question } from "./wire";

const { KV } = env as unknown as Env;
const names = ["groq", "cfai", "openai"] as const;
const targets: Target[] = names.map((provider) => ({ provider, model: "m" }));
const question: Question = { messages: [{ role: "user", content: "hi" }], maxTokens: 50 };
const textOf = (name: string) => `${name} says all of this`;

/** Providers that say nothing until so many of them were asked; then they are let go in an order, and answer or fail. */
class Doubles {
  readonly asked: string[] = [];
  readonly signals = new Map<string, AbortSignal>();
  private readonly gates = new Map(names.map((name) => [name as string, Promise.withResolvers<void>()]));
  private readonly order: readonly string[];
  private readonly silent: number;
  private readonly failing: readonly string[];

  constructor(silent: number, order: readonly string[], failing: readonly string[]) {
    this.silent = silent;
    this.order = order;
    this.failing = failing;
  }

  providers(): Record<string, Provider> {
    return Object.fromEntries(names.map((name) => [name, this.provider(name)]));
  }

  private provider(name: string): Provider {
    return {
      whole: async (_, __, signal) => {
        await this.turn(name, signal);
        return { text: textOf(name), finish: "stop", usage: { tokensIn: 3, tokensOut: name.length } };
      },
      stream: async (_, __, signal) => {
        const words = textOf(name)
          .split(/(?= )/)
          .map((content) => JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] }));
        const events = [...words, '{"choices":[{"delta":{},"finish_reason":"stop"}]}', "[DONE]"].map((data) => `data: ${data}\n\n`);
        const wait = () => this.turn(name, signal);
        let begun = false;
        return new ReadableStream({
          async pull(controller) {
            if (!begun) {
              begun = true;
              controller.enqueue(new TextEncoder().encode(": the headers are no answer\n\n"));
              await wait();
            }
            const event = events.shift();
            event === undefined ? controller.close() : controller.enqueue(new TextEncoder().encode(event));
          },
        });
      },
    };
  }

  /** One after the other: what one does with its turn comes before the next has its own. */
  private async letGo(): Promise<void> {
    for (const next of this.order) {
      this.gates.get(next)?.resolve();
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  private async turn(name: string, signal: AbortSignal): Promise<void> {
    this.asked.push(name);
    this.signals.set(name, signal);
    if (this.asked.length === this.silent) {
      void this.letGo();
    }
    await this.gates.get(name)?.promise;
    if (this.failing.includes(name)) {
      throw new Failure("failed", "as the test says");
    }
  }
}

function relayOver(doubles: Doubles, hedge: Relay["hedge"]): Relay {
  return {
    targets,
    providers: doubles.providers(),
    breakers: new Breakers(MODELS.breaker, Date.now),
    sharing: { kv: KV, waitUntil: () => {} },
    times: { firstTokenMs: 30_000, answerMs: 30_000, gapMs: 30_000, overallMs: 60_000 },
    hedge,
  };
}

const rich = () => new HedgeBudget({ share: 1, burst: 5 });

async function answerOf(relay: Relay, stream: boolean): Promise<{ answer: Answer; said: string }> {
  if (!stream) {
    const answer = await relayWhole(relay, question);
    return { answer, said: answer.text };
  }
  let said = "";
  const deltas = relayStream(relay, question);
  for (;;) {
    const { done, value } = await deltas.next();
    if (done) {
      return { answer: value, said };
    }
    said += value.text;
  }
}

describe("a model that is silent", () => {
  const random = randomOf(7);
  const shuffle = (left: readonly string[]): string[] => {
    const at = random(Math.max(1, left.length));
    return left.length === 0 ? [] : [left[at] as string, ...shuffle(left.toSpliced(at, 1))];
  };
  const runs = Array.from({ length: 60 }, () => {
    const order = shuffle(names);
    return [order, order.filter(() => random(10) < 4), random(2) === 0] as const;
  });

  it.each(runs)(
    "%j let go in this order, %j failing: one text of one model, one price, and whoever is outrun is told to stop (stream: %j)",
    async (order, failing, stream) => {
      const doubles = new Doubles(2, order, failing);
      const relay = relayOver(doubles, { afterMs: 0, budget: rich() });
      if (failing.length === 3) {
        await expect(answerOf(relay, stream)).rejects.toMatchObject({ status: 503, code: "models_unavailable" });
        return;
      }
      const { answer, said } = await answerOf(relay, stream);
      const winner = order.find((name) => doubles.asked.includes(name) && !failing.includes(name)) as string;
      expect([answer.provider, answer.text, said]).toEqual([winner, textOf(winner), textOf(winner)]);
      const lost = doubles.asked.filter((name) => name !== winner);
      // A third is asked when two have failed; else the two that were asked come in the order in which they are let go.
      const failed = lost.filter((name) => failing.includes(name) && (lost.length === 2 || order.indexOf(name) < order.indexOf(winner)));
      const outcomes = answer.attempts.map(({ provider, outcome }) => `${provider} ${outcome}`);
      const want = (name: string) => `${name} ${name === winner ? "answered" : failed.includes(name) ? "failed" : "outrun"}`;
      expect(outcomes.toSorted()).toEqual(doubles.asked.map(want).toSorted());
      for (const provider of lost.filter((name) => !failed.includes(name))) {
        expect(doubles.signals.get(provider)?.aborted).toBe(true);
        expect(relay.breakers.known({ provider, model: "m" }).breaker).toMatchObject({ failures: 0, openUntil: 0 });
      }
    },
  );

  it.each([false, true])("is waited for where no more may be asked twice (stream: %j)", async (stream) => {
    const budget = new HedgeBudget({ share: 0.1, burst: 1 });
    budget.spend();
    const doubles = new Doubles(1, ["cfai", "openai", "groq"], []);
    const { answer } = await answerOf(relayOver(doubles, { afterMs: 0, budget }), stream);
    expect([answer.provider, doubles.asked]).toEqual(["groq", ["groq"]]);
  });

  it.each([false, true])("is the only one that is asked when it speaks in time, or fails (stream: %j)", async (stream) => {
    const hedge = { afterMs: 60_000, budget: rich() };
    const prompt = new Doubles(1, names, []);
    expect([(await answerOf(relayOver(prompt, hedge), stream)).answer.provider, prompt.asked]).toEqual(["groq", ["groq"]]);
    const failing = new Doubles(1, names, ["groq"]);
    expect([(await answerOf(relayOver(failing, hedge), stream)).answer.provider, failing.asked]).toEqual(["cfai", ["groq", "cfai"]]);
  });

  it("is not asked beside one that is left alone", async () => {
    const doubles = new Doubles(2, ["openai", "groq", "cfai"], []);
    const relay = relayOver(doubles, { afterMs: 0, budget: rich() });
    relay.breakers.failed(targets[1] as Target, new Failure("denied", "no key"), relay.sharing);
    expect((await relayWhole(relay, question)).provider).toBe("openai");
    expect(doubles.asked).toEqual(["groq", "openai"]);
  });
});

describe("what may be asked twice", () => {
  it("is one question at first, a share of all, and no more than is saved up", () => {
    const budget = new HedgeBudget({ share: 0.1, burst: 5 });
    const spentIn = (questions: number) =>
      Array.from({ length: questions }).filter(() => {
        budget.earn();
        return budget.spend();
      }).length;
    expect(spentIn(1_000)).toBe(101);
    for (let n = 0; n < 1_000; n++) {
      budget.earn();
    }
    expect([1, 2, 3, 4, 5, 6].map(() => budget.spend())).toEqual([true, true, true, true, true, false]);
  });
});
