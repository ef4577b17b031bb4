import { describe, expect, it } from "vitest";

import { must, randomOf } from "../testing/random";
import { type Account, apply, type Budget, newAccount, nextMs, remainingOf, renew, reserve, settle } from "./budget";

const day = 86_400_000;
const budget: Budget = { micro: 100, windowMs: day, holdMs: 60_000, rememberMs: 3_600_000 };

/** An account at noon of its second day. */
const noon = day + day / 2;
function with_(spent: number, holds: [string, number, number][] = []): Account {
  const account = { ...newAccount(), window: 1 };
  for (const [id, micro, expiresMs] of holds) {
    apply(account, { id, spent, hold: { micro, expiresMs } });
  }
  account.spent = spent;
  return account;
}

function copyOf(account: Account): Account {
  return { ...account, holds: new Map(account.holds), closed: new Map(account.closed) };
}

/** What a decision says, once it is applied. */
function done<T extends { change?: Parameters<typeof apply>[1] | undefined }>(account: Account, decision: T): T {
  if (decision.change !== undefined) {
    apply(account, decision.change);
  }
  return decision;
}

describe("a reservation", () => {
  it.each<[string, Account, number, object]>([
    ["takes what is there", newAccount(), 100, { outcome: "held", remaining: 0 }],
    ["of nothing is held", with_(100), 0, { outcome: "held", remaining: 0 }],
    ["of more than is left waits for the next day", with_(60), 41, { outcome: "refused", remaining: 40, retryMs: day / 2 }],
    ["waits for a hold that expires", with_(0, [["a", 70, noon + 500]]), 31, { outcome: "refused", remaining: 30, retryMs: 500 }],
    [
      "waits for as many holds as it takes",
      with_(0, [
        ["b", 50, noon + 5],
        ["a", 50, noon + 9],
      ]),
      60,
      { outcome: "refused", retryMs: 9 },
    ],
    ["sees no hold that has expired", with_(0, [["a", 100, noon]]), 100, { outcome: "held" }],
    ["of more than a budget is never admitted", newAccount(), 101, { outcome: "refused", remaining: 100 }],
    ["sees nothing of yesterday", { ...with_(100), window: 0 }, 100, { outcome: "held" }],
    ["is held once under its id", with_(0, [["me", 60, noon + 9]]), 60, { outcome: "held", remaining: 40 }],
    ["is not held for two sums", with_(0, [["me", 60, noon + 9]]), 61, { outcome: "conflict", remaining: 40 }],
  ])("%s", (_, account, micro, want) => {
    expect(reserve(budget, account, noon, "me", micro)).toMatchObject(want);
  });

  it("says nothing of when, where waiting does not help", () => {
    expect(reserve(budget, newAccount(), noon, "me", 101)).not.toHaveProperty("retryMs");
  });

  it.each([-1, 0.5, Number.NaN])("takes no sum of %s", (micro) => {
    expect(() => reserve(budget, newAccount(), noon, "me", micro)).toThrow(RangeError);
    expect(() => settle(budget, newAccount(), noon, "me", micro)).toThrow(RangeError);
  });
});

describe("a settlement", () => {
  const held = () =>
    with_(10, [
      ["me", 60, noon + 9],
      ["other", 20, noon + 9],
    ]);
  it.each<[string, number, number, number, number, number]>([
    ["gives back what was not used", noon, 15, 15, 0, 55],
    ["of nothing gives all back", noon, 0, 0, 0, 70],
    ["takes what is left beyond its hold", noon, 70, 70, 0, 0],
    ["goes not beyond what is left", noon, 75, 70, 5, 0],
    ["after its hold has expired takes what is left", noon + 9, 95, 90, 5, 0],
    ["on the next day is of the next day", 2 * day, 60, 60, 0, 40],
  ])("%s", (_, nowMs, micro, counted, excess, remaining) => {
    const account = held();
    const settled = done(account, settle(budget, account, nowMs, "me", micro));
    expect([settled.micro, settled.excess, remainingOf(budget, account)]).toEqual([counted, excess, remaining]);
  });

  it("counts once under its id, and the id is not used again until it is forgotten", () => {
    const account = held();
    done(account, settle(budget, account, noon, "me", 15));
    expect(done(account, settle(budget, account, noon + 1, "me", 40))).toEqual({ micro: 15, excess: 0 });
    expect(account.spent).toBe(25);
    expect(reserve(budget, account, noon + 1, "me", 1).outcome).toBe("closed");
    expect(reserve(budget, account, noon + budget.rememberMs, "me", 1).outcome).toBe("held");
  });

  it("says when something is next to be let go", () => {
    expect(nextMs(held())).toBe(noon + 9);
    expect(nextMs(newAccount())).toBeUndefined();
  });

  it("is not due while its hold is renewed, and what is renewed expires last", () => {
    const account = held();
    done(account, { change: renew(budget, account, noon + 8, "me") });
    expect([...account.holds]).toEqual([
      ["other", { micro: 20, expiresMs: noon + 9 }],
      ["me", { micro: 60, expiresMs: noon + 8 + budget.holdMs }],
    ]);
    expect(renew(budget, account, noon + 9, "other")).toBeUndefined();
    expect([account.held, remainingOf(budget, account)]).toEqual([60, 30]);
  });
});

/** What happened, in order: the oracle adds it up from the beginning every time, and keeps no state of its own. */
type Event =
  | { readonly did: "reserve"; readonly atMs: number; readonly id: string; readonly micro: number }
  | { readonly did: "settle"; readonly atMs: number; readonly id: string; readonly counted: number };

function spentBy(log: readonly Event[], limits: Budget, nowMs: number): number {
  const today = Math.floor(nowMs / limits.windowMs);
  return log.reduce((sum, e) => (e.did === "settle" && Math.floor(e.atMs / limits.windowMs) === today ? sum + e.counted : sum), 0);
}

function openAt(log: readonly Event[], limits: Budget, nowMs: number) {
  const settled = new Set(log.filter((e) => e.did === "settle").map((e) => e.id));
  return log.filter((e) => e.did === "reserve").filter((e) => !settled.has(e.id) && e.atMs + limits.holdMs > nowMs);
}

describe("a budget, over 20,000 random interleavings", () => {
  it("is never overspent, and refuses nothing that a serial order of what calls cost would admit beyond the holds", () => {
    const random = randomOf(2);
    const seen = { held: 0, refused: 0, late: 0, again: 0, tight: 0 };
    for (let run = 0; run < 20_000; run++) {
      const limits = { micro: 20 + random(200), windowMs: 1000 + random(3000), holdMs: 50 + random(400), rememberMs: 1e9 };
      interleave(limits, random, seen);
    }
    // Every kind of thing did happen, or this has shown nothing of it.
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(1000);
  });
});

function interleave(limits: Budget, random: (below: number) => number, seen: Record<string, number>): void {
  const log: Event[] = [];
  const costs = new Map<string, number>();
  const account = newAccount();
  let nowMs = random(5000);
  for (let step = 0; step < 24; step++) {
    nowMs += random(2) * random(150);
    const ids = [...costs.keys()];
    const id = ids[random(ids.length + 1)];
    if (id !== undefined && random(5) < 3) {
      close(limits, account, nowMs, id, costs.get(id) as number, log, seen);
    } else {
      const micro = 1 + random(limits.micro);
      const name = `r${step}`;
      const { outcome, retryMs } = done(account, reserve(limits, account, nowMs, name, micro));
      const open = openAt(log, limits, nowMs);
      const held = open.reduce((sum, e) => sum + (e.did === "reserve" ? e.micro : 0), 0);
      const fits = spentBy(log, limits, nowMs) + held + micro <= limits.micro;
      must(outcome === (fits ? "held" : "refused"), () => `${JSON.stringify(log)}: ${micro} at ${nowMs} is ${outcome}`);
      const cost = random(micro + 1);
      if (fits) {
        log.push({ did: "reserve", atMs: nowMs, id: name, micro });
        costs.set(name, cost);
        seen.held = (seen.held ?? 0) + 1;
      } else {
        seen.refused = (seen.refused ?? 0) + 1;
        serial(limits, log, nowMs, cost, micro, open, costs, seen);
        const then = (waitMs: number) => reserve(limits, copyOf(account), nowMs + waitMs, "later", micro).outcome;
        const right = retryMs !== undefined && then(retryMs) === "held" && then(retryMs - 1) === "refused";
        must(right, () => `${JSON.stringify(log)}: ${micro} at ${nowMs} is told to wait ${retryMs}`);
      }
    }
    must(spentBy(log, limits, nowMs) <= limits.micro, () => `${JSON.stringify(log)}: overspent`);
  }
}

/** A serial order knows what every open call will cost. It may admit what was refused only by as much as the holds are too large. */
function serial(
  limits: Budget,
  log: readonly Event[],
  nowMs: number,
  cost: number,
  micro: number,
  open: readonly Event[],
  costs: ReadonlyMap<string, number>,
  seen: Record<string, number>,
): void {
  const costing = open.reduce((sum, e) => sum + (costs.get(e.id) as number), 0);
  const tooLarge = open.reduce((sum, e) => sum + (e.did === "reserve" ? e.micro - (costs.get(e.id) as number) : 0), micro - cost);
  must(
    spentBy(log, limits, nowMs) + costing + cost > limits.micro - tooLarge,
    () => `${JSON.stringify(log)}: ${micro} was refused for nothing`,
  );
  seen.tight = (seen.tight ?? 0) + (tooLarge > 0 ? 1 : 0);
}

function close(
  limits: Budget,
  account: Account,
  nowMs: number,
  id: string,
  cost: number,
  log: Event[],
  seen: Record<string, number>,
): void {
  const before = log.some((e) => e.did === "settle" && e.id === id);
  const live = openAt(log, limits, nowMs).some((e) => e.id === id);
  const { micro, excess } = done(account, settle(limits, account, nowMs, id, cost));
  must(micro + excess === cost, () => `${micro} and ${excess} are not ${cost}`);
  if (before) {
    seen.again = (seen.again ?? 0) + 1;
    return;
  }
  // What was held is there for the call: only one that came too late can cost more than is counted.
  must(!live || excess === 0, () => `${JSON.stringify(log)}: ${id} was held, and goes beyond by ${excess}`);
  seen.late = (seen.late ?? 0) + (live ? 0 : 1);
  log.push({ did: "settle", atMs: nowMs, id, counted: micro });
}
