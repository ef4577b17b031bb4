import { describe, expect, it } from "vitest";

import { type Balance, parseBalance, stored } from "../../shared/src/money/balance";
import { isWithinBound, kvVisibilityMs, type Mark, maxStaleMs, nextMark, parseMark } from "../../shared/src/money/mark";
import { compare, compareAgain, type Finding, tellableMs } from "./decide";

/** A key of KV as places far apart see it: a write is seen there after a delay. */
class DelayedKey {
  private readonly writes: { at: number; text: string }[] = [];

  put(at: number, text: string): void {
    this.writes.push({ at, text });
  }

  seen(now: number, delayMs: number): string | null {
    return this.writes.findLast(({ at }) => at <= now - delayMs)?.text ?? null;
  }
}

interface World {
  readonly seed: number;
  /** How late the reader sees a write of the balance, and of the mark, and the reconciler one of the balance. */
  readonly readerMs: number;
  readonly markMs: number;
  readonly reconcilerMs: number;
  /** Chance, a second, that the account changes. */
  readonly changing: number;
  /** Chance that a writer's write fails, and that an older write comes after it. */
  readonly failing: number;
  readonly overtaking: number;
  /** Chance, a pass, that the reconciler stops for a while. */
  readonly stopping: number;
  /** How long a pass takes; it repairs at its end. */
  readonly passMs: number;
}

const world: World = {
  seed: 1,
  readerMs: 0,
  markMs: 0,
  reconcilerMs: 0,
  changing: 0.02,
  failing: 0,
  overtaking: 0,
  stopping: 0,
  passMs: 0,
};

const start = Date.UTC(2026, 10, 25);
const hourMs = 3_600_000;
const name = "balance:a@x.test";

/** One account, its copy in KV, its writers, the reconciler and a reader, a second at a time. */
class Life {
  private readonly entry = new DelayedKey();
  private readonly marks = new DelayedKey();
  private readonly changes: number[] = []; // when each version came to be
  private readonly world: World;
  private mark: Mark | undefined;
  private pass: { readonly started_ms: number; readonly ended_ms: number; readonly suspect: Finding | undefined } | undefined;
  private stopped = 0;
  private state: number;
  private asked = 0;
  private fresh = 0;
  private worst = 0;

  constructor(world: World) {
    this.world = world;
    this.state = world.seed;
  }

  /** How old the oldest change was that a trusted answer left out, and which part of the answers was trusted. */
  run(trusts: typeof isWithinBound = isWithinBound): { worst: number; fresh: number } {
    for (let now = start; now < start + 2 * hourMs; now += 1000) {
      this.write(now);
      if ((now - start) % 30_000 === 0) {
        this.begin(now);
      }
      this.end(now);
      this.read(now, trusts);
    }
    return { worst: this.worst, fresh: this.fresh / this.asked };
  }

  private chance(p: number): boolean {
    this.state = (this.state * 48_271) % 2_147_483_647;
    return this.state / 2_147_483_647 < p;
  }

  private balance(version = this.changes.length): Balance {
    return { account: "a@x.test", balance: version, held: 0, overage: 0, version, updated_at_ms: this.changes.at(-1) ?? start };
  }

  private write(now: number): void {
    if (!this.chance(this.world.changing)) {
      return;
    }
    this.changes.push(now);
    if (!this.chance(this.world.failing)) {
      this.entry.put(now + 10, JSON.stringify(stored(this.balance(), now)));
    }
    if (this.chance(this.world.overtaking)) {
      this.entry.put(now + 20, JSON.stringify(stored(this.balance(this.changes.length - 1), now)));
    }
  }

  /** The first look of a pass. */
  private begin(now: number): void {
    this.stopped = Math.max(this.stopped - 1, this.chance(this.world.stopping) ? 40 : 0);
    if (this.stopped > 0) {
      return;
    }
    const suspect = compare(name, this.balance(), this.entry.seen(now, this.world.reconcilerMs), now);
    const ended_ms = Math.max(now + this.world.passMs, suspect === undefined ? 0 : tellableMs(suspect));
    this.pass = { started_ms: now, ended_ms, suspect };
  }

  /** The second look of a pass, its repair and its mark. */
  private end(now: number): void {
    if (this.pass === undefined || now < this.pass.ended_ms) {
      return;
    }
    const { suspect, started_ms } = this.pass;
    if (suspect !== undefined && compareAgain(suspect, this.balance(), this.entry.seen(now, this.world.reconcilerMs), now) !== undefined) {
      this.entry.put(now, JSON.stringify(stored(this.balance(), now)));
    }
    this.mark = nextMark(this.mark, { started_ms, ended_ms: now });
    this.marks.put(now, JSON.stringify(this.mark));
    this.pass = undefined;
  }

  private read(now: number, trusts: typeof isWithinBound): void {
    const copy = parseBalance(this.entry.seen(now, this.world.readerMs));
    if (copy === undefined) {
      return;
    }
    this.asked++;
    if (trusts(copy, parseMark(this.marks.seen(now, this.world.markMs)), now)) {
      this.fresh++;
      const missed = this.changes[copy.version]; // when the first change came that the copy leaves out
      this.worst = Math.max(this.worst, missed === undefined ? 0 : now - missed);
    }
  }
}

describe("the age of what a reader takes for fresh", () => {
  const delays = [0, 60_000, kvVisibilityMs];
  const seeds = [1, 2, 3, 4, 5];

  it.each(delays)("is within the stated bound when writes fail and the reconciler comes and goes, seen %d ms late", (readerMs) => {
    for (const [reconcilerMs, markMs] of delays.flatMap((a) => delays.map((b) => [a, b] as const))) {
      for (const [passMs, seed] of [0, 15_000].flatMap((a) => seeds.map((b) => [a, b] as const))) {
        const life = new Life({ ...world, seed, readerMs, markMs, reconcilerMs, failing: 0.3, stopping: 0.02, passMs });
        const { worst, fresh } = life.run();
        expect(worst).toBeLessThanOrEqual(maxStaleMs);
        expect(fresh).toBeGreaterThan(0.2); // a bound that is kept by never trusting KV is none
      }
    }
  });

  it.each(delays)(
    "is within it for an account that changes all the time and has no writer but the reconciler, seen %d ms late",
    (readerMs) => {
      for (const [passMs, seed] of [0, 15_000].flatMap((a) => seeds.map((b) => [a, b] as const))) {
        const { worst, fresh } = new Life({ ...world, seed, readerMs, changing: 0.7, failing: 1, passMs }).run();
        expect(worst).toBeLessThanOrEqual(maxStaleMs);
        expect(fresh).toBeGreaterThan(0.9);
      }
    },
  );

  it("is one visibility more when an older write comes after a newer one, which the reconciler sees late too", () => {
    for (const seed of seeds) {
      const late = { ...world, seed, readerMs: kvVisibilityMs, reconcilerMs: kvVisibilityMs };
      expect(new Life({ ...late, failing: 0.1, overtaking: 0.2, stopping: 0.02 }).run().worst).toBeLessThanOrEqual(
        maxStaleMs + kvVisibilityMs,
      );
    }
  });

  it("would be far beyond it for a reader that trusts every copy, or a guard that came back just now", () => {
    const poor = { ...world, readerMs: kvVisibilityMs, failing: 0.5, stopping: 0.05, passMs: 15_000 };
    const steadySince = (sinceMs: (mark: Mark) => number): typeof isWithinBound => {
      return (copy, mark, now) => isWithinBound(copy, mark && { ...mark, steady_since: sinceMs(mark) }, now);
    };
    const worst = (trusts: typeof isWithinBound) => Math.max(...seeds.map((seed) => new Life({ ...poor, seed }).run(trusts).worst));
    expect(worst(() => true)).toBeGreaterThan(maxStaleMs);
    expect(worst(steadySince(() => 0))).toBeGreaterThan(maxStaleMs);
    expect(worst(steadySince(({ steady_since }) => steady_since - poor.passMs))).toBeGreaterThan(maxStaleMs); // when its pass began
    expect(worst(isWithinBound)).toBeLessThanOrEqual(maxStaleMs);
  });

  it("is a moment while everything works", () => {
    const { worst, fresh } = new Life(world).run();
    expect([worst <= 1000, fresh]).toEqual([true, 1]);
  });
});
