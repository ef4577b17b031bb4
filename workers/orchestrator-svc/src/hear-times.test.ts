import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { MODELS } from "../../shared/src/contract.gen";
import { wavLasting } from "../../shared/src/testing/sounds";
import { type Audio, audioOf } from "./audio";
import { Breakers } from "./breakers";
import type { Ear } from "./ear";
import type { Env } from "./env.gen";
import { hear } from "./hear";
import type { Relay } from "./journey";
import { messageOf } from "./wire";

const { KV } = env as unknown as Env;
const bounds = { max: 2, seconds: 60, bytes: 100_000 };
const names = ["first", "second", "third"];

/** Ears of which some never say anything until they are told to stop; who was asked, and who was told. */
function doubles(silent: readonly string[]) {
  const asked: string[] = [];
  const stopped: string[] = [];
  const ear = (name: string): Ear => ({
    hear: (_, __, signal) => {
      asked.push(name);
      signal.addEventListener("abort", () => stopped.push(name));
      return silent.includes(name) ? new Promise(() => {}) : Promise.resolve({ text: name, ms: undefined });
    },
  });
  return { asked, stopped, providers: Object.fromEntries(names.map((name) => [name, ear(name)])) };
}

const relayOver = (providers: Record<string, Ear>, overallMs: number): Relay<Ear> => ({
  targets: names.map((provider) => ({ provider, model: "m" })),
  providers,
  breakers: new Breakers(MODELS.breaker, Date.now),
  sharing: { kv: KV, waitUntil: () => {} },
  times: { ...MODELS.times, overallMs },
});

const questionOf = (audio: Audio) => ({ messages: [messageOf("user", ["what", audio], "\n")], maxTokens: 1 });

describe("an ear that says nothing", () => {
  it("is told to stop after its time, and the next is asked", async () => {
    const { asked, stopped, providers } = doubles(["first", "second"]);
    const relay = relayOver(providers, 60_000);
    const heard = await hear(relay, 5, questionOf(await audioOf(wavLasting(100), bounds)), bounds);
    expect([asked, stopped]).toEqual([names, ["first", "second"]]);
    expect(heard.attempts.map(({ outcome }) => outcome)).toEqual(["late", "late", "answered"]);
    expect([heard.question.messages[0]?.content, heard.question.messages[0]?.parts, heard.ms]).toEqual(["what\nthird", undefined, 100]);
    expect(relay.targets.map((target) => relay.breakers.known(target).breaker.failures)).toEqual([1, 1, 0]);
  });

  it("is the last that is asked where the time of all is over", async () => {
    const { asked, stopped, providers } = doubles(names);
    const hearing = hear(relayOver(providers, 5), 60_000, questionOf(await audioOf(wavLasting(100), bounds)), bounds);
    await expect(hearing).rejects.toMatchObject({ status: 504, code: "models_timeout" });
    expect([asked, stopped]).toEqual([["first"], ["first"]]);
  });

  it("is nowhere: without a key for any nobody is asked", async () => {
    const hearing = hear(relayOver({}, 60_000), 5, questionOf(await audioOf(wavLasting(100), bounds)), bounds);
    await expect(hearing).rejects.toMatchObject({ status: 503, code: "ai_unbound" });
  });
});
