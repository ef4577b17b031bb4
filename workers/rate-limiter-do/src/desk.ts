import { ALLOWANCES } from "../../shared/src/contract.gen";
import { within } from "../../shared/src/deadline";
import type { Admission, Answers, Heard, Limited, Outcome, Question, Said, Word } from "../../shared/src/limits/limits";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { limitsOf } from "./operator";

/** One that is late leaves time to say so. */
const objectMs = ALLOWANCES.keeping.decideMs * 0.9;

/**
 * Asks the objects of all whose limits a question falls under, at once, here where they are: a call to an object from elsewhere costs more
 * than what it decides. All must admit it; what some took of one that others refused is given back.
 */
export async function admit(call: Call<Env>): Promise<Response> {
  const { subjects, ...wanted } = await call.request.json<Question>();
  const said = await Promise.all(subjects.map((subject) => saidBy(call.env, subject, wanted)));
  if (said.some((one) => one !== null && one.outcome !== "admitted")) {
    const taken = subjects.filter((_, i) => said[i]?.outcome !== "rate" && said[i]?.outcome !== "budget");
    call.ctx.waitUntil(giveBack(call.env, taken, wanted.id, wanted.weight));
  }
  return json(said satisfies Said);
}

function saidBy(env: Env, subject: Limited, wanted: Omit<Question, "subjects">): Promise<Admission | null> {
  const { allowance, account } = subject;
  return orNull(subject, limitsOf(env, subject).admit(allowance, { ...wanted, ...(account === undefined ? {} : { account }) }));
}

/** Hears what became of what was taken in advance, and grants more. */
export async function advance(call: Call<Env>): Promise<Response> {
  const words = await call.request.json<readonly Word[]>();
  const answers = await Promise.all(words.map((word) => answerTo(call.env, word)));
  return json(answers satisfies Answers);
}

function answerTo(env: Env, { subject, told }: Word): Promise<Heard | null> {
  return orNull(subject, limitsOf(env, subject).advance(subject.allowance, told, subject.account));
}

/** Null: it did not answer. */
async function orNull<T>({ name }: Limited, asking: Promise<T>): Promise<T | null> {
  try {
    return await within(objectMs, asking, () => new Problem(504, "limiter_timeout"));
  } catch (error) {
    console.error(JSON.stringify({ worker: "rate-limiter-do", what: "limiter down", subject: name.split(":")[0], cause: String(error) }));
    return null;
  }
}

/** One that did not answer may have admitted it all the same. */
async function giveBack(env: Env, taken: readonly Limited[], id: string, weight: number): Promise<void> {
  await Promise.all(taken.map((subject) => limitsOf(env, subject).cancel(subject.allowance, id, weight)));
}

/** Puts what a question cost in the place of what was held for it; said again it changes nothing. */
export async function settle(call: Call<Env>): Promise<Response> {
  const { subjects, id, micro } = await call.request.json<Outcome>();
  await Promise.all(subjects.map((subject) => limitsOf(call.env, subject).settle(subject.allowance, id, micro)));
  return new Response(null, { status: 204 });
}

/** A question that is still being answered holds what it holds. */
export async function renew(call: Call<Env>): Promise<Response> {
  const { subjects, id } = await call.request.json<Outcome>();
  await Promise.all(subjects.map((subject) => limitsOf(call.env, subject).renew(id)));
  return new Response(null, { status: 204 });
}

/** Undoes an admission whose answer did not arrive. */
export async function cancel(call: Call<Env>): Promise<Response> {
  const { subjects, id, weight } = await call.request.json<Question>();
  await giveBack(call.env, subjects, id, weight);
  return new Response(null, { status: 204 });
}
