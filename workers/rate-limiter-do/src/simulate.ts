import type { JsonObject } from "../../shared/src/body";
import { apply, newAccount, reserve, settle } from "../../shared/src/limits/budget";
import { type Allowance, budgetOf, dayMs } from "../../shared/src/limits/limits";
import { decideRate, type Meter } from "../../shared/src/limits/rate";
import { creditsOf } from "../../shared/src/money/micro";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { budgetMicro, isWhole, rateOf, refuseOthers } from "./operator";

/** Calls that come evenly: so many, so far apart, each with what it takes, may cost, costs, and how long it lasts. */
export interface Load {
  readonly calls: number;
  readonly everyMs: number;
  readonly weight: number;
  readonly holdMicro: number;
  readonly costMicro: number;
  readonly takesMs: number;
}

export interface Outcome {
  readonly admitted: number;
  readonly rate_limited: number;
  readonly budget_exhausted: number;
  readonly spent_credits: number;
  readonly most_held_credits: number;
  readonly first_refused_ms: number | null;
  readonly longest_retry_ms: number;
}

/** Tries limits on calls that nobody makes, with the functions that decide over those that somebody makes. */
export async function simulate(call: Call<Env>): Promise<Response> {
  refuseOthers(call);
  const body = await call.json();
  const allowance: Allowance = { rate: rateOf(body.rate), micro: budgetMicro(body.credits_a_day) };
  return json(outcomeOf(allowance, loadOf(body.load)));
}

export function outcomeOf(allowance: Allowance, load: Load): Outcome {
  const budget = { ...budgetOf(allowance), rememberMs: 0 }; // nothing is said twice here
  let meter: Meter | undefined;
  const account = newAccount();
  const count = { admitted: 0, rate: 0, budget: 0 };
  const seen = { mostHeld: 0, held: 0, first: null as number | null, longest: 0 };
  const open: { id: string; atMs: number }[] = [];
  const closeUntil = (nowMs: number) => {
    for (let next = open[0]; next !== undefined && next.atMs <= nowMs; next = open[0]) {
      open.shift();
      const { change } = settle(budget, account, next.atMs, next.id, load.costMicro);
      if (change !== undefined) {
        apply(account, change);
      }
      seen.held -= load.holdMicro;
    }
  };
  const refused = (nowMs: number, retryMs: number | undefined) => {
    seen.first ??= nowMs;
    seen.longest = Math.max(seen.longest, retryMs ?? 0);
  };
  for (let n = 0; n < load.calls; n++) {
    const nowMs = Math.round(n * load.everyMs);
    closeUntil(nowMs);
    const decision = decideRate(allowance.rate, meter, nowMs, load.weight);
    const held = decision.admitted ? reserve(budget, account, nowMs, String(n), load.holdMicro) : undefined;
    if (held === undefined) {
      count.rate++;
      refused(nowMs, decision.retryMs);
    } else if (held.outcome !== "held") {
      count.budget++;
      refused(nowMs, held.retryMs);
    } else {
      ({ meter } = decision);
      if (held.change !== undefined) {
        apply(account, held.change);
      }
      count.admitted++;
      open.push({ id: String(n), atMs: nowMs + load.takesMs });
      seen.held += load.holdMicro;
      seen.mostHeld = Math.max(seen.mostHeld, seen.held);
    }
  }
  closeUntil(Number.MAX_SAFE_INTEGER - dayMs);
  return {
    admitted: count.admitted,
    rate_limited: count.rate,
    budget_exhausted: count.budget,
    spent_credits: creditsOf(count.admitted * load.costMicro),
    most_held_credits: creditsOf(seen.mostHeld),
    first_refused_ms: seen.first,
    longest_retry_ms: seen.longest,
  };
}

const maxCalls = 10_000;

function loadOf(given: unknown): Load {
  const load = (given ?? {}) as JsonObject;
  const { calls, every_ms: everyMs, weight, takes_ms: takesMs } = load;
  if (!isWhole(calls, maxCalls) || typeof everyMs !== "number" || !(everyMs >= 0 && everyMs <= dayMs)) {
    throw new Problem(400, "invalid_load", `load has calls, up to ${maxCalls}, and every_ms.`);
  }
  if (!isWhole(weight, 1000) || typeof takesMs !== "number" || !Number.isInteger(takesMs) || takesMs < 0 || takesMs > dayMs) {
    throw new Problem(400, "invalid_load", "load has a weight above 0, and takes_ms.");
  }
  const [holdMicro, costMicro] = [budgetMicro(load.hold_credits), budgetMicro(load.cost_credits)];
  if (costMicro > holdMicro) {
    throw new Problem(400, "invalid_load", "A call costs no more than was held for it.");
  }
  return { calls, everyMs, weight, holdMicro, costMicro, takesMs };
}
