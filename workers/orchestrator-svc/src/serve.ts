import { MODELS } from "../../shared/src/contract.gen";
import { type Admitted, admit, OutOfBudget } from "../../shared/src/limits/admission";
import { creditsOf as creditsOfMicro } from "../../shared/src/money/micro";
import { splitUrl } from "../../shared/src/router";
import type { Call } from "../../shared/src/worker";
import type { Asked } from "./asked";
import { costOf, payerOf } from "./charge";
import { earsOf } from "./ear";
import type { Env } from "./env.gen";
import { type Heard, hear, withHeard } from "./hear";
import type { Hedge } from "./hedge";
import { type Once, once } from "./idempotency";
import type { Answer, Relay } from "./journey";
import { balances, breakers, hedgeBudget } from "./known";
import { mostOf, shortened } from "./most";
import { type PromptCache, promptCache } from "./prompt-cache";
import { providersOf } from "./provider";
import { relayWhole } from "./relay-whole";
import { replay, streamed } from "./serve-stream";
import { type Door, finish, keepAnswer, type Served } from "./served";
import type { Tier } from "./tier";
import { audiosOf } from "./wire";

/** A question as it may be asked, and what was taken for it. */
interface Admission {
  readonly asked: Asked;
  readonly admitted: Admitted;
}

/** Answers a question once a key, whole or as a stream. */
export async function serve(call: Call<Env>, asked: Asked, stream: boolean, door: Door): Promise<Response> {
  const about = { requestId: call.requestId, now: Math.floor(Date.now() / 1000) };
  const payer = payerOf(call.caller);
  const use = await once(call, [splitUrl(call.request.url).path, { ...asked, tier: lasting(asked.tier) }]);
  const balance = balances.shown(call.env.KV_BILLING, payer, Date.now());
  const cache = use.kept === undefined ? promptCache(call, asked, payer) : undefined;
  let admitted: Admitted | undefined;
  try {
    const may = await admission(call, asked, use, cache);
    ({ admitted } = may);
    const cut = may.asked !== asked; // what is as long as a budget had room for is not what others ask for
    const served = { call, asked: may.asked, use, door, about, payer, balance, admitted, cache: cut ? undefined : cache };
    const before = cache === undefined ? use.kept : await cache.known;
    if (before !== undefined) {
      return withAccount(await again(served, before, stream), await balance, admitted);
    }
    const response = await answered(served, stream);
    if (cut) {
      response.headers.set("x-tokens-limit", String(may.asked.question.maxTokens));
    }
    return withAccount(response, await balance, admitted);
  } catch (error) {
    use.end();
    if (admitted !== undefined) {
      call.ctx.waitUntil(admitted.settle(0)); // no answer, no cost
    }
    throw error;
  }
}

/**
 * Takes what a question may cost of its caller's limits, and gives it as it may be asked. An answer that is kept costs nothing again, but
 * asking for it counts.
 */
async function admission(call: Call<Env>, asked: Asked, { kept }: Once, cache: PromptCache | undefined): Promise<Admission> {
  const most = kept === undefined ? mostOf(asked.question) : 0;
  try {
    return { asked, admitted: await admittedAt(call, asked, most) };
  } catch (error) {
    if (!(error instanceof OutOfBudget)) {
      throw error;
    }
    // What is known costs nothing: a budget that has no room for a model's answer has room for it.
    const known = await cache?.known;
    return known === undefined ? shorter(call, asked, error) : { asked, admitted: await admittedAt(call, asked, 0) };
  }
}

/** Asks for as long an answer as the budget has room for. Another may take of it meanwhile, and a tenant may have less than its caller. */
async function shorter(call: Call<Env>, asked: Asked, refused: OutOfBudget, tries = 3): Promise<Admission> {
  const question = shortened(asked.question, refused.left, asked.tier.minTokens);
  if (question === undefined || tries === 0) {
    throw refused;
  }
  const less = { ...asked, question };
  try {
    return { asked: less, admitted: await admittedAt(call, less, mostOf(question)) };
  } catch (error) {
    if (error instanceof OutOfBudget) {
      return shorter(call, less, error, tries - 1);
    }
    throw error;
  }
}

function admittedAt({ env, caller, ctx }: Call<Env>, { tier }: Asked, micro: number): Promise<Admitted> {
  return admit(env.LIMITS, caller, { weight: tier.weight, micro, waitUntil: (promise) => ctx.waitUntil(promise) });
}

/** Gives what was answered before, under this key or to this question: it was charged then. */
async function again({ call, use, door, about, admitted }: Served, answer: Answer, stream: boolean): Promise<Response> {
  if (use.kept === undefined) {
    call.ctx.waitUntil(admitted.settle(0));
    await keepAnswer(use, answer);
  } else {
    use.end();
  }
  const response = stream ? replay(answer, door, about) : withFacts(door.whole(answer, about), answer, "HIT");
  if (answer.madeAtMs !== undefined) {
    response.headers.set("age", String(Math.max(0, about.now - Math.floor(answer.madeAtMs / 1000))));
  }
  return response;
}

function withAccount(response: Response, balance: string | null, { headers }: Admitted): Response {
  for (const [name, value] of Object.entries(headers)) {
    response.headers.set(name, value);
  }
  if (balance !== null) {
    response.headers.set("x-credits-balance", balance);
  }
  return response;
}

/** What of a tier belongs to what is asked for: it stays the same, however and of whom it is asked. */
function lasting({ models, guests, maxTokens, maxInputChars }: Tier): Partial<Tier> {
  return { models, guests, maxTokens, maxInputChars };
}

/** Has a question's audio heard, then asks it, all within the time that a question has. */
async function answered(served: Served, stream: boolean): Promise<Response> {
  const { call, asked } = served;
  if (audiosOf(asked.question.messages).length === 0) {
    return asking(served, relayOf(call, asked), stream);
  }
  const started = Date.now();
  const heard = await heardOf(call, asked);
  const overallMs = MODELS.times.overallMs - (Date.now() - started);
  const relay = { ...relayOf(call, asked), times: { ...MODELS.times, overallMs } };
  return asking({ ...served, heard, asked: { ...asked, question: heard.question } }, relay, stream);
}

function asking(served: Served, relay: Relay, stream: boolean): Promise<Response> {
  return stream ? streamed(served, relay) : whole(served, relay);
}

function heardOf(call: Call<Env>, { tier, question }: Asked): Promise<Heard> {
  const relay = { ...wayOf(call, tier), targets: tier.hears, providers: earsOf(call.env) };
  return hear(relay, MODELS.times.hearMs, question, tier.audio);
}

function wayOf({ env, ctx }: Call<Env>, { name }: Tier) {
  const sharing = { kv: env.KV, waitUntil: (promise: Promise<unknown>) => ctx.waitUntil(promise) };
  return { tier: name, breakers, sharing, times: MODELS.times };
}

function relayOf(call: Call<Env>, { tier }: Asked): Relay {
  const { models: targets, pinned } = tier;
  return { ...wayOf(call, tier), targets, pinned, providers: providersOf(call.env), hedge: hedgeOf(tier) };
}

/** Who asks for one model by name is not served by another sooner. */
function hedgeOf({ hedgeMs, pinned }: Tier): Hedge | undefined {
  return hedgeMs === undefined || (pinned ?? []).length > 0 ? undefined : { afterMs: hedgeMs, budget: hedgeBudget };
}

async function whole(served: Served, relay: Relay): Promise<Response> {
  const answer = withHeard(await relayWhole(relay, served.asked.question), served.heard);
  const { kept, settled } = finish(served, answer);
  served.call.ctx.waitUntil(settled);
  await kept;
  return withFacts(served.door.whole(answer, served.about), answer, "MISS");
}

function withFacts(response: Response, answer: Answer, cache: "HIT" | "MISS"): Response {
  const facts = {
    "x-provider": answer.provider,
    "x-model": answer.model,
    "x-tokens-in": String(answer.tokensIn),
    "x-tokens-out": String(answer.tokensOut),
    "x-credits-used": creditsOf(answer),
    "x-cache": cache,
  };
  for (const [name, value] of Object.entries(facts)) {
    response.headers.set(name, value);
  }
  return response;
}

/** What an answer costs, to 3 decimals: whole micro-credits for every token, and never rounded before it is shown. */
export function creditsOf(answer: Answer): string {
  return creditsOfMicro(answer.madeAtMs === undefined ? costOf(answer) : 0).toFixed(3);
}
