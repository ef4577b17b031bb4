import { describe, expect, it } from "vitest";
import { must, randomOf } from "../testing/random";
import { rateHeaders, seconds } from "./headers";
import { decideRate, type Meter, type Rate, type RateDecision } from "./rate";

const minute: Rate = { count: 60, periodMs: 60_000, burst: 3 };
const at = (atMs: number, owed: number, periodMs = 60_000): Meter => ({ atMs, owed, periodMs });

describe("a rate", () => {
  it.each<[string, Meter | undefined, number, number, object]>([
    ["admits the first", undefined, 0, 1, { admitted: true, remaining: 2, resetMs: 1000, retryMs: 0 }],
    ["admits the last of a burst", at(0, 120_000), 0, 1, { admitted: true, remaining: 0, resetMs: 3000, retryMs: 0 }],
    ["refuses one more, for a second", at(0, 180_000), 0, 1, { admitted: false, remaining: 0, resetMs: 3000, retryMs: 1000 }],
    ["refuses a millisecond before", at(0, 180_000), 999, 1, { admitted: false, remaining: 0, resetMs: 2001, retryMs: 1 }],
    ["admits at the very millisecond", at(0, 180_000), 1000, 1, { admitted: true, remaining: 0, resetMs: 3000, retryMs: 0 }],
    ["takes a weight whole or not at all", at(0, 60_000), 0, 3, { admitted: false, remaining: 2, resetMs: 1000, retryMs: 1000 }],
    ["never admits more than a burst", undefined, 0, 4, { admitted: false, remaining: 3, resetMs: 0, retryMs: undefined }],
    ["asks for nothing", at(0, 180_000), 0, 0, { admitted: true, remaining: 0, resetMs: 3000, retryMs: 0 }],
    ["does not give back for a clock that went back", at(5000, 180_000), 0, 1, { admitted: false, retryMs: 6000, resetMs: 8000 }],
    ["keeps what is owed when the period changes", at(0, 3000, 1000), 0, 1, { admitted: false, retryMs: 1000 }],
  ])("%s", (_, kept, nowMs, weight, want) => {
    expect(decideRate(minute, kept, nowMs, weight)).toMatchObject(want);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("takes no weight of %s", (weight) => {
    expect(() => decideRate(minute, undefined, 0, weight)).toThrow(RangeError);
  });

  it("decides as an exact oracle does, over 10,000 random runs", () => {
    const random = randomOf(1);
    const seen = { admitted: 0, refused: 0 };
    for (let run = 0; run < 10_000; run++) {
      compare({ count: 1 + random(90), periodMs: 1 + random(7000), burst: 1 + random(9) }, random, seen);
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(10_000);
  });
});

/** The oracle keeps the theoretical arrival time of the textbook, in big integers of 1/count ms: nothing drains, and nothing rounds. */
function compare(rate: Rate, random: (below: number) => number, seen: { admitted: number; refused: number }): void {
  let kept: Meter | undefined;
  let arrival = 0n;
  let nowMs = 1_700_000_000_000 + random(1000);
  for (let step = 0; step < 30; step++) {
    nowMs += random(3) === 0 ? 0 : random(Math.ceil((2 * rate.periodMs) / rate.count));
    const weight = 1 + random(3);
    const now = BigInt(nowMs) * BigInt(rate.count);
    const next = (arrival > now ? arrival : now) + BigInt(weight * rate.periodMs);
    const admits = next <= now + BigInt(rate.burst * rate.periodMs);
    const decision = decideRate(rate, kept, nowMs, weight);
    must(decision.admitted === admits, () => `${JSON.stringify({ rate, kept, nowMs, weight })}: the oracle says ${admits}`);
    seen[admits ? "admitted" : "refused"]++;
    waits(rate, decision, nowMs, weight);
    kept = decision.meter;
    arrival = admits ? next : arrival;
  }
}

/** What was refused is admitted after the wait that was named, and not a millisecond before. */
function waits(rate: Rate, { admitted, meter, retryMs }: RateDecision, nowMs: number, weight: number): void {
  if (admitted) {
    return;
  }
  const admits = (waitMs: number) => decideRate(rate, meter, nowMs + waitMs, weight).admitted;
  const right = retryMs === undefined ? weight > rate.burst : admits(retryMs) && !admits(retryMs - 1);
  must(right, () => `${JSON.stringify({ rate, meter, nowMs, weight })}: a wait of ${retryMs} is not right`);
}

describe("what an answer says of a rate", () => {
  it("is the same in both kinds of field, and no Retry-After when it was admitted", () => {
    expect(rateHeaders("user", minute, decideRate(minute, undefined, 0))).toEqual({
      "x-ratelimit-limit": "3",
      "x-ratelimit-remaining": "2",
      "x-ratelimit-reset": "1",
      "ratelimit-policy": '"user";q=60;w=60',
      ratelimit: '"user";r=2;t=1',
    });
  });

  it("has a Retry-After that is never too short, and none where waiting does not help", () => {
    expect([0, 1, 1000, 1001].map(seconds)).toEqual([0, 1, 1, 2]);
  });
});
