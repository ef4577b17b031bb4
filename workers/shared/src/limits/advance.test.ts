import { describe, expect, it } from "vitest";

import { must, randomOf } from "../testing/random";
import { type Free, hear, type Purse, type Told } from "./advance";
import { Ahead } from "./ahead";
import { type Account, apply, newAccount, remainingOf } from "./budget";
import type { Heard } from "./limits";
import { decideRate, type Meter } from "./rate";

const day = 86_400_000;
const rate = { count: 10, periodMs: 1000, burst: 80 };
const purse: Purse = { budget: { micro: 800, windowMs: day, holdMs: 60_000, rememberMs: 600_000 }, rate, part: 8 };
const noon = day + day / 2;
const first = (want: Free, more: Partial<Told> = {}): Told => {
  const keep = { micro: 0, weight: 0 };
  return { id: "a", seq: 1, spent: 0, open: 0, used: 0, keep, want, ...more };
};

/** A limiter, and what it keeps. */
class Keeper {
  readonly account: Account = newAccount();
  meter: Meter | undefined;

  hear(told: Told, nowMs: number, of = purse): Heard {
    const { changes, counted: _, ...heard } = hear(of, this.account, this.meter, nowMs, told);
    for (const change of changes) {
      apply(this.account, change);
    }
    this.meter = heard.meter;
    return { ...heard, rate: of.rate };
  }
}

describe("an advance", () => {
  const want = { micro: 1000, weight: 100 };

  it("is at most a part of what is left, and held until it is accounted for", () => {
    const keeper = new Keeper();
    expect(keeper.hear(first(want), noon)).toMatchObject({ outcome: "granted", free: { micro: 100, weight: 10 }, left: 700 });
    expect(keeper.account).toMatchObject({ spent: 0, held: 100, unused: 10 });
    const told = { seq: 2, spent: 60, open: 30, used: 9, keep: { micro: 10, weight: 1 } };
    expect(keeper.hear(first({ micro: 20, weight: 2 }, told), noon)).toMatchObject({ free: { micro: 20, weight: 2 } });
    expect(keeper.account).toMatchObject({ spent: 60, held: 50, unused: 2 });
    expect(keeper.hear(first({ micro: 0, weight: 0 }, { seq: 3, spent: 75, used: 11, end: true }), noon).outcome).toBe("granted");
    expect(keeper.account).toMatchObject({ spent: 75, held: 0, unused: 0 });
    expect(decideRate(rate, keeper.meter, noon, 0).remaining).toBe(69);
  });

  it.each<[string, Partial<Told>, Heard["outcome"]]>([
    ["that says again what it said", { seq: 1, spent: 50 }, "old"],
    ["that is not known", { id: "b", seq: 2, spent: 50 }, "gone"],
  ])("%s changes nothing", (_, more, outcome) => {
    const keeper = new Keeper();
    keeper.hear(first(want), noon);
    expect(keeper.hear(first(want, more), noon).outcome).toBe(outcome);
    expect(keeper.account).toMatchObject({ spent: 0, held: 100 });
  });

  it("that was given up is gone, and one that has ended stays ended", () => {
    const keeper = new Keeper();
    keeper.hear(first(want), noon);
    expect(keeper.hear(first(want, { seq: 2, spent: 50 }), noon + 60_000).outcome).toBe("gone");
    keeper.hear(first(want, { id: "c" }), noon);
    keeper.hear(first(want, { id: "c", seq: 2, spent: 50, end: true }), noon);
    expect(keeper.hear(first(want, { id: "c", seq: 2, spent: 50, end: true }), noon).outcome).toBe("old");
    expect(keeper.account.spent).toBe(50);
  });

  it("keeps what is said to be kept, though the limits were lowered, and grants no more", () => {
    const keeper = new Keeper();
    keeper.hear(first(want), noon);
    const lower = { ...purse, budget: { ...purse.budget, micro: 90 } };
    const told = first(want, { seq: 2, open: 50, used: 2, keep: { micro: 30, weight: 8 } });
    expect(keeper.hear(told, noon, lower)).toMatchObject({ free: { micro: 30, weight: 9 }, left: 10 });
  });

  it("counts no more than the budget, of calls that cost more than they held", () => {
    const keeper = new Keeper();
    keeper.hear(first(want), noon);
    keeper.hear(first({ micro: 0, weight: 0 }, { seq: 2, spent: 2000, end: true }), noon);
    expect(keeper.account).toMatchObject({ spent: 800, held: 0 });
  });
});

/** A question that an isolate has admitted. */
interface Open {
  readonly of: Ahead;
  readonly micro: number;
}

/** An isolate: it says one word at a time, and the answer may not come. */
interface Isolate {
  ahead: Ahead;
  open: Open[];
}

interface World {
  readonly keeper: Keeper;
  readonly of: Purse;
  isolates: Isolate[];
  words: { readonly to: Ahead; readonly told: Told }[];
  nowMs: number;
  /** What calls did cost, by nobody's word, and what the rate owes for them when they were admitted. */
  spent: number;
  meter: Meter | undefined;
  made: number;
}

type Seen = Record<string, number>;
const see = (seen: Seen, what: string) => {
  seen[what] = (seen[what] ?? 0) + 1;
};

function ask(world: World, isolate: Isolate, random: (below: number) => number, seen: Seen): void {
  const wanted = { weight: 1 + random(3), micro: 1 + random(9) };
  if (isolate.ahead.take(wanted, world.nowMs)) {
    see(seen, "taken");
    const decision = decideRate(world.of.rate, world.meter, world.nowMs, wanted.weight);
    must(decision.admitted, () => "the rate was exceeded");
    world.meter = decision.meter;
    isolate.open.push({ of: isolate.ahead, micro: wanted.micro });
  } else if (isolate.ahead.speaks(world.nowMs)) {
    see(seen, "asked");
    world.words.push({ to: isolate.ahead, told: isolate.ahead.more(wanted, world.nowMs) });
  }
}

function end(world: World, isolate: Isolate, random: (below: number) => number): void {
  const call = isolate.open.shift();
  if (call !== undefined) {
    const cost = random(call.micro + 1);
    call.of.settle(call.micro, cost);
    world.spent += cost;
  }
}

function say(world: World, random: (below: number) => number, seen: Seen): void {
  const [word] = world.words.splice(random(world.words.length), 1);
  if (word === undefined) {
    return;
  }
  const heard = world.keeper.hear(word.told, world.nowMs, world.of);
  see(seen, heard.outcome);
  if (random(4) === 0) {
    see(seen, "said twice");
    world.keeper.hear(word.told, world.nowMs, world.of);
  }
  if (random(6) === 0) {
    see(seen, "unheard");
    word.to.unheard(word.told);
  } else {
    word.to.hear(word.told, heard, world.nowMs);
  }
}

/** What one after another can happen to a limiter and its isolates. */
function happen(world: World, random: (below: number) => number, seen: Seen): void {
  const n = random(world.isolates.length);
  const isolate = world.isolates[n] as Isolate;
  const what = random(40);
  if (what === 0) {
    see(seen, "killed");
    world.isolates[n] = newIsolate(world); // what it spent and did not say is the ledger's to tell
    world.words = world.words.filter(({ to }) => to !== isolate.ahead);
  } else if (what < 3 && isolate.ahead.speaks(world.nowMs)) {
    world.words.push({ to: isolate.ahead, told: isolate.ahead.back(world.nowMs) });
  } else if (what < 8) {
    world.nowMs += random(400);
  } else if (what < 16) {
    say(world, random, seen);
  } else if (what < 22) {
    end(world, isolate, random);
  } else {
    ask(world, isolate, random, seen);
  }
  if (isolate.ahead.gone && isolate.open.length === 0) {
    isolate.ahead = newIsolate(world).ahead;
  }
}

function newIsolate(world: World): Isolate {
  return { ahead: new Ahead(`${world.made++}`), open: [] };
}

function newWorld(random: (below: number) => number): World {
  const of = {
    budget: { ...purse.budget, micro: 50 + random(400), holdMs: 300_000 },
    rate: { count: 1 + random(20), periodMs: 1000, burst: 10 + random(100) },
    part: 2 + random(7),
  };
  const world: World = { keeper: new Keeper(), of, isolates: [], words: [], nowMs: noon, spent: 0, meter: undefined, made: 0 };
  world.isolates = Array.from({ length: 1 + random(3) }, () => newIsolate(world));
  return world;
}

/** What calls cost, and may yet cost that are not over. */
function used(world: World): number {
  return world.spent + world.isolates.flatMap(({ open }) => open).reduce((sum, { micro }) => sum + micro, 0);
}

/** All calls end, and every isolate gives back what it has. */
function leave(world: World, random: (below: number) => number): void {
  for (const isolate of world.isolates) {
    while (isolate.open.length > 0) {
      end(world, isolate, random);
    }
    world.keeper.hear(isolate.ahead.back(world.nowMs), world.nowMs, world.of);
  }
}

describe("a budget and a rate of which isolates take in advance", () => {
  it("are never exceeded, over 3,000 runs of loss, repetition, delay and death", () => {
    const seen: Seen = {};
    for (let seed = 0; seed < 3_000; seed++) {
      const random = randomOf(seed);
      const world = newWorld(random);
      for (let n = 0; n < 150; n++) {
        happen(world, random, seen);
        must(used(world) <= world.of.budget.micro, () => `seed ${seed}: ${used(world)} of ${world.of.budget.micro}`);
        must(remainingOf(world.of.budget, world.keeper.account) >= 0, () => `seed ${seed}: ${JSON.stringify(world.keeper.account)}`);
      }
    }
    expect(Object.keys(seen).sort()).toEqual(["asked", "gone", "granted", "killed", "old", "said twice", "taken", "unheard"]);
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(10);
  });

  it("come back whole once everybody is heard", () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = randomOf(seed);
      const world = newWorld(random);
      for (let n = 0; n < 100; n++) {
        const isolate = world.isolates[random(world.isolates.length)] as Isolate;
        ask(world, isolate, random, {});
        end(world, isolate, random);
        say(world, random, {});
      }
      leave(world, random);
      const { spent, held, unused } = world.keeper.account;
      must(spent === world.spent && held === 0 && unused === 0, () => `seed ${seed}: ${spent} of ${world.spent}, ${held}, ${unused}`);
    }
  });

  it("would be exceeded where what is taken in advance drains like what is used", () => {
    const keeper = new Keeper();
    const ahead = new Ahead("a");
    const told = ahead.more({ weight: 10, micro: 0 }, noon);
    ahead.hear(told, keeper.hear(told, noon), noon);
    const later = noon + 5_000;
    expect(ahead.take({ weight: 10, micro: 0 }, later)).toBe(true);
    const unaware = decideRate(rate, keeper.meter, later, 0).remaining;
    const aware = decideRate(rate, keeper.meter, later, 0, keeper.account.unused).remaining;
    expect([unaware + 10 > rate.burst, aware + 10]).toEqual([true, rate.burst]);
  });
});
