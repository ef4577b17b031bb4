import { describe, expect, it } from "vitest";

import { must, randomOf } from "../testing/random";
import {
  asking,
  givingBack,
  granted,
  type Lease,
  type Lender,
  leaseIn,
  lend,
  lenderIn,
  lentOf,
  noLease,
  noLender,
  noted,
  takeBack,
  type Word,
} from "./lease";

const lender = (window: number, lent: Record<string, [seq: number, micro: number]>): Lender => ({
  window,
  lent: new Map(Object.entries(lent).map(([shard, [seq, micro]]) => [shard, { seq, micro }])),
});
const word = (seq: number, micro: number, window = 1): Word => ({ window, seq, micro });

describe("a lender of 800 to 2 shards", () => {
  it.each<[string, Lender, Word, object | undefined]>([
    ["lends an eighth of what is free beside what is wanted", lender(1, {}), word(1, 10), { seq: 1, micro: 100 }],
    ["lends what is wanted, where that is more", lender(1, {}), word(1, 300), { seq: 1, micro: 300 }],
    ["lends what there is", lender(1, { b: [3, 790] }), word(1, 300), { seq: 1, micro: 10 }],
    ["lends nothing under what is lent already", lender(1, { b: [3, 900] }), word(1, 300), { seq: 1, micro: 0 }],
    ["lends once what is wanted twice", lender(1, { a: [4, 300] }), word(4, 300), { seq: 4, micro: 300 }],
    ["lends nothing to whom has enough", lender(1, { a: [4, 300] }), word(5, 200), { seq: 5, micro: 300 }],
    ["does not hear what is old", lender(1, { a: [4, 300] }), word(3, 400), undefined],
    ["lends nothing in a day that is over", lender(1, {}), word(1, 10, 0), undefined],
    ["lends nothing in a day that is to come", lender(1, {}), word(1, 10, 2), undefined],
  ])("%s", (_, kept, said, want) => {
    expect(lend(800, kept, "a", 2, said)).toEqual(want);
  });

  it.each<[string, Word, object | undefined]>([
    ["takes back what is not needed", word(5, 120), { seq: 5, micro: 120 }],
    ["takes nothing back twice", word(4, 120), undefined],
    ["lends nothing to whom gives back less than nothing", word(5, 400), { seq: 5, micro: 300 }],
    ["takes nothing back of another day", word(5, 120, 2), undefined],
  ])("%s", (_, said, want) => {
    expect(takeBack(lender(1, { a: [4, 300] }), "a", said)).toEqual(want);
  });

  it("begins a day with nothing lent, and remembers what it heard", () => {
    expect(lenderIn(lender(1, { a: [4, 300] }), 2)).toEqual(lender(2, { a: [4, 0] }));
    expect(lenderIn(lender(1, { a: [4, 300] }), 0)).toEqual(lender(1, { a: [4, 300] }));
  });
});

describe("a shard", () => {
  const lease: Lease = { window: 1, seq: 4, micro: 300 };

  it.each<[string, Lease, Lease]>([
    ["has what it was granted", granted(lease, 4, 1, 500), { ...lease, micro: 500 }],
    ["has no less for an answer that came late", granted(lease, 4, 1, 200), lease],
    [
      "believes no answer to what it asked before it gave back",
      granted(givingBack(lease, 100).lease, 4, 1, 500),
      { window: 1, seq: 5, micro: 100 },
    ],
    ["believes no answer of another day", granted(lease, 4, 0, 500), lease],
    ["gives back no more than it has", givingBack(lease, 400).lease, { window: 1, seq: 5, micro: 300 }],
    ["begins a day with nothing", leaseIn(lease, 2), { window: 2, seq: 4, micro: 0 }],
  ])("%s", (_, is, want) => {
    expect(is).toEqual(want);
  });
});

/** What is under way between a lender and its shards. It may be lost, said twice, and overtaken by what is said later. */
type Message =
  | { readonly to: "lender"; readonly what: "want" | "back"; readonly shard: number; readonly word: Word }
  | {
      readonly to: "shard";
      readonly what: "grant";
      readonly shard: number;
      readonly seq: number;
      readonly window: number;
      readonly micro: number;
    }
  | { readonly to: "shard"; readonly what: "recall"; readonly shard: number };

interface World {
  readonly budget: number;
  lender: Lender;
  readonly shards: { lease: Lease; window: number; spent: number; holds: number[] }[];
  messages: Message[];
  /** What was spent in each window, by the word of nobody. */
  readonly spent: Map<number, number>;
  readonly believes: typeof granted;
}

function newWorld(budget: number, shards: number, believes = granted): World {
  const made = Array.from({ length: shards }, () => ({ lease: noLease, window: 0, spent: 0, holds: [] }));
  return { budget, lender: noLender, shards: made, messages: [], spent: new Map(), believes };
}

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

/** A step of a shard: it asks, admits, settles, or sees a new day. What it keeps, it keeps before it says anything. */
function step(world: World, n: number, random: (below: number) => number, seen: Record<string, number>): void {
  const shard = world.shards[n] as World["shards"][number];
  const room = shard.lease.micro - shard.spent - sum(shard.holds);
  const micro = 1 + random(9);
  if (shard.holds.length > 0 && random(3) === 0) {
    const held = shard.holds.shift() as number;
    const counted = Math.min(random(held + 1), Math.max(0, shard.lease.micro - shard.spent - sum(shard.holds)));
    shard.spent += counted;
    world.spent.set(shard.window, (world.spent.get(shard.window) ?? 0) + counted);
  } else if (micro <= room) {
    shard.holds.push(micro);
    seen.admitted = (seen.admitted ?? 0) + 1;
  } else {
    const said = asking(shard.lease, shard.spent + sum(shard.holds) + micro);
    shard.lease = said.lease;
    world.messages.push({ to: "lender", what: "want", shard: n, word: said.word });
    seen.asked = (seen.asked ?? 0) + 1;
  }
}

function deliver(world: World, message: Message, seen: Record<string, number>): void {
  const name = String(message.shard);
  const shard = world.shards[message.shard] as World["shards"][number];
  if (message.what === "recall") {
    const { lease, word: said } = givingBack(shard.lease, shard.spent + sum(shard.holds));
    shard.lease = lease;
    world.messages.push({ to: "lender", what: "back", shard: message.shard, word: said });
    return;
  }
  if (message.what === "grant") {
    shard.lease = world.believes(shard.lease, message.seq, message.window, message.micro);
    return;
  }
  const { what, word: said } = message;
  const lent = what === "want" ? lend(world.budget, world.lender, name, world.shards.length, said) : takeBack(world.lender, name, said);
  if (lent === undefined) {
    seen.old = (seen.old ?? 0) + 1;
    return;
  }
  seen[what] = (seen[what] ?? 0) + 1;
  world.lender = noted(world.lender, name, lent);
  if (what === "want") {
    world.messages.push({ to: "shard", what: "grant", shard: message.shard, seq: said.seq, window: said.window, micro: lent.micro });
  }
}

function chaos(world: World, random: (below: number) => number, seen: Record<string, number>): void {
  const n = random(world.shards.length);
  switch (random(10)) {
    case 0: {
      world.messages.push({ to: "shard", what: "recall", shard: n });
      break;
    }
    case 1: {
      // A process is killed: what is under way is lost, what was kept is there.
      world.messages = world.messages.filter(({ shard }) => shard !== n);
      break;
    }
    case 2: {
      // Midnight, which not all see at once.
      if (random(8) === 0) {
        const shard = world.shards[n] as World["shards"][number];
        const window = Math.max(shard.window, world.lender.window + random(2));
        world.lender = lenderIn(world.lender, world.lender.window + random(2));
        shard.lease = leaseIn(shard.lease, window);
        shard.spent = window > shard.window ? 0 : shard.spent;
        shard.window = window;
      }
      break;
    }
    default: {
      const at = random(world.messages.length + 1);
      const message = world.messages[at];
      if (message === undefined) {
        step(world, n, random, seen);
      } else {
        world.messages = random(5) === 0 ? world.messages : world.messages.filter((_, i) => i !== at); // said once more
        deliver(world, message, seen);
      }
    }
  }
}

function run(seed: number, seen: Record<string, number>, believes = granted): World {
  const random = randomOf(seed);
  const world = newWorld(20 + random(200), 2 + random(3), believes);
  for (let n = 0; n < 120; n++) {
    chaos(world, random, seen);
    if (random(2) === 0) {
      step(world, random(world.shards.length), random, seen);
    }
    for (const [window, spent] of world.spent) {
      must(spent <= world.budget, () => `seed ${seed}: ${spent} of ${world.budget} were spent in day ${window}`);
    }
  }
  return world;
}

describe("a budget that is lent", () => {
  it("is never overspent, over 5,000 runs of loss, repetition, delay, death and midnight", () => {
    const seen: Record<string, number> = {};
    for (let seed = 0; seed < 5_000; seed++) {
      run(seed, seen);
    }
    expect(Object.keys(seen).sort()).toEqual(["admitted", "asked", "back", "old", "want"]);
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(1000);
  });

  it("would be overspent by a shard that believes an answer to what it asked before it gave back", () => {
    const gullible: typeof granted = (lease, _, window, micro) =>
      window === lease.window ? { ...lease, micro: Math.max(lease.micro, micro) } : lease;
    expect(() => {
      for (let seed = 0; seed < 5_000; seed++) {
        run(seed, {}, gullible);
      }
    }).toThrow(/were spent/);
  });

  it("comes back whole once everybody is heard, whatever was lost before", () => {
    for (let seed = 0; seed < 500; seed++) {
      const world = run(seed, {});
      world.messages = [];
      const today = Math.max(world.lender.window, ...world.shards.map(({ window }) => window));
      world.lender = lenderIn(world.lender, today);
      for (const [n, shard] of world.shards.entries()) {
        shard.spent = shard.window === today ? shard.spent : 0;
        shard.lease = leaseIn(shard.lease, today);
        shard.window = today;
        deliver(world, { to: "shard", what: "recall", shard: n }, {});
        deliver(world, world.messages.pop() as Message, {});
      }
      must(lentOf(world.lender) === sum(world.shards.map(({ lease }) => lease.micro)), () => `seed ${seed}: lost`);
      const used = sum(world.shards.map(({ lease, spent, holds }) => Math.min(lease.micro, spent + sum(holds))));
      const all = lend(world.budget, world.lender, "0", world.shards.length, { window: today, seq: 1e6, micro: world.budget });
      const others = used - Math.min(world.shards[0]?.lease.micro ?? 0, used);
      must(all !== undefined && all.micro + others === world.budget, () => `seed ${seed}: ${all?.micro} and ${others}`);
    }
  });
});
