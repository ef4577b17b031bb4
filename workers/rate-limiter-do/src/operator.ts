import { type JsonObject, optionalText, requiredText } from "../../shared/src/body";
import { type Database, openDatabase } from "../../shared/src/database";
import { within } from "../../shared/src/deadline";
import { dayMs, type Limited, type Limits, type Own, type Standing } from "../../shared/src/limits/limits";
import { callerSubject, type Subject, shardsOf, tenantSubject } from "../../shared/src/limits/subject";
import { maxAccountBytes } from "../../shared/src/money/account";
import { Ledger } from "../../shared/src/money/ledger";
import { creditsOf, microOf } from "../../shared/src/money/micro";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";

/** The gateway checks the key; this checks the gateway. */
export function refuseOthers(call: Call<Env>): void {
  if (!call.caller.admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
}

/** What a caller or a tenant may ask for, has spent and holds. */
export async function showLimits(call: Call<Env>): Promise<Response> {
  refuseOthers(call);
  const query = new URL(call.request.url).searchParams;
  const subject = subjectOf(query.get("caller"), query.get("tenant"));
  await refuseUnknown(call.env, subject);
  return json(await shown(call.env, subject));
}

/** Gives a caller or a tenant limits of its own, or takes them away. */
export async function setLimits(call: Call<Env>): Promise<Response> {
  refuseOthers(call);
  const body = await call.json();
  const subject = subjectOf(optionalText(body, "caller", maxAccountBytes) ?? null, optionalText(body, "tenant", maxAccountBytes) ?? null);
  await refuseUnknown(call.env, subject);
  await limitsOf(call.env, subject).set(body.clear === true ? null : ownOf(body));
  return json(await shown(call.env, subject));
}

function subjectOf(caller: string | null, tenant: string | null): Subject {
  const [own, all] = [caller?.trim().toLowerCase() ?? "", tenant?.trim() ?? ""];
  if ((own === "") === (all === "") || own.length > maxAccountBytes || all.length > maxAccountBytes) {
    throw new Problem(400, "invalid_subject", "Say one of caller and tenant.");
  }
  return own === "" ? tenantSubject(all) : callerSubject(own);
}

/**
 * Refuses a tenant that is not there: limits of a name that was misspelt would bound nobody. While the database does not answer the
 * operator is believed, for that is when limits are needed.
 */
async function refuseUnknown(env: Env, { name }: Subject): Promise<void> {
  const tenant = name.startsWith("tenant:") ? name.slice("tenant:".length) : undefined;
  if (tenant === undefined) {
    return;
  }
  const found = await fromDatabase(env, "tenant", (db) => db.query("SELECT id FROM auth.tenant WHERE id = $1", [tenant]));
  if (found?.length === 0) {
    throw new Problem(404, "unknown_tenant", "There is no such tenant: cogctl tenants list.");
  }
}

/** What the database says within two seconds; undefined where it says nothing. */
async function fromDatabase<T>(env: Env, what: string, ask: (db: Database) => Promise<T>): Promise<T | undefined> {
  const db = openDatabase(env.DB);
  try {
    return await within(2_000, ask(db), () => new Problem(504, `${what}_timeout`));
  } catch (error) {
    console.error(JSON.stringify({ worker: "rate-limiter-do", what: `${what} not read`, cause: String(error) }));
    return undefined;
  } finally {
    void db.close();
  }
}

export function limitsOf(env: Env, { name }: Limited): Limits {
  return env.LIMITS.getByName(name) as unknown as Limits;
}

async function shown(env: Env, subject: Subject): Promise<object> {
  const [standing, ledger] = await Promise.all([standingOf(env, subject), ledgerToday(env, subject)]);
  return { ...spelt(subject, standing), ledger_credits: ledger };
}

/** Of one that several objects keep, what they have together. What is lent and not used is left: it can be lent to another. */
export async function standingOf(env: Env, subject: Subject): Promise<Standing> {
  const shards = shardsOf(subject);
  const [whole, ...parts] = await Promise.all([subject, ...shards].map((one) => limitsOf(env, one).show(one.allowance)));
  if (whole === undefined || parts.length === 0) {
    return whole as Standing;
  }
  const all = [whole, ...parts];
  const sum = (of: (standing: Standing) => number) => all.reduce((total, standing) => total + of(standing), 0);
  const [spent, held, holds] = [sum((one) => one.spent), sum((one) => one.held), sum((one) => one.holds)];
  const remaining = sum((one) => one.remaining) - whole.remaining;
  const resetMs = Math.max(...parts.map((one) => one.resetMs));
  return { ...whole, remaining, resetMs, spent, held, holds, left: Math.max(0, whole.allowance.micro - spent - held) };
}

function spelt({ name, allowance }: Subject, { allowance: now, own, ...standing }: Standing): object {
  const limits = ({ rate, micro }: { rate: Standing["allowance"]["rate"]; micro: number }) => ({
    rate: { count: rate.count, period_ms: rate.periodMs, burst: rate.burst },
    credits_a_day: creditsOf(micro),
  });
  return {
    subject: name,
    when_down: allowance.whenDown,
    limits: limits(now),
    contract: limits(allowance),
    own: own === null ? null : { actor: own.actor, reason: own.reason, until: own.untilMs === undefined ? null : at(own.untilMs) },
    rate: { remaining: standing.remaining, reset_ms: standing.resetMs },
    budget: {
      spent_credits: creditsOf(standing.spent),
      held_credits: creditsOf(standing.held),
      holds: standing.holds,
      left_credits: creditsOf(standing.left),
      day_ends: at(standing.dayEndsMs),
    },
  };
}

const at = (ms: number) => new Date(ms).toISOString();

/** What the ledger has of today, for comparison; null where it has nothing to say, or does not answer. */
async function ledgerToday(env: Env, { account }: Subject): Promise<number | null> {
  if (account === undefined) {
    return null;
  }
  const nowMs = Date.now();
  const used = await fromDatabase(env, "ledger", (db) => new Ledger(db).usedBetween(account, Math.floor(nowMs / dayMs) * dayMs, nowMs + 1));
  return used === undefined ? null : creditsOf(used);
}

/** More than any of these is a slip of the keyboard, and owed weights times a period stay whole numbers. */
const most = { count: 1_000_000, periodMs: 86_400_000, burst: 1_000_000, credits: 1_000_000_000 };

function ownOf(body: JsonObject): Own {
  const { rate, credits_a_day: credits, until } = body;
  if ((rate ?? credits) === undefined) {
    throw new Problem(400, "nothing_to_do", "Give rate, credits_a_day, or clear.");
  }
  const untilMs = until === undefined ? undefined : Date.parse(String(until));
  if (untilMs !== undefined && !(untilMs > Date.now())) {
    throw new Problem(400, "invalid_until", "until is no time that is to come.");
  }
  return {
    ...(rate === undefined ? {} : { rate: rateOf(rate) }),
    ...(credits === undefined ? {} : { micro: budgetMicro(credits) }),
    ...(untilMs === undefined ? {} : { untilMs }),
    actor: optionalText(body, "actor", 128) ?? "admin",
    reason: requiredText(body, "reason", 512),
  };
}

export function rateOf(given: unknown): Standing["allowance"]["rate"] {
  const { count, period_ms: periodMs, burst } = (given ?? {}) as Record<string, unknown>;
  if (!isWhole(count, most.count) || !isWhole(periodMs, most.periodMs) || !isWhole(burst, most.burst)) {
    throw new Problem(400, "invalid_rate", "rate is count, period_ms and burst, whole numbers above 0.");
  }
  return { count, periodMs, burst };
}

export function isWhole(value: unknown, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= max;
}

export function budgetMicro(credits: unknown): number {
  const micro = typeof credits === "number" && credits >= 0 && credits <= most.credits ? microOf(credits) : undefined;
  if (micro === undefined) {
    throw new Problem(400, "invalid_credits_a_day", "credits_a_day is not a number of credits with at most 6 decimals.");
  }
  return micro;
}
