import { describe, expect, it } from "vitest";

import { abandoned, admit, type Breaker, type BreakerSettings, closed, failed, learn, parseShared, share, succeeded } from "./breaker";
import { Failure, type FailureKind } from "./failure";

const settings: BreakerSettings = { failures: 3, windowMs: 30_000, openMs: 20_000, maxOpenMs: 300_000, deniedMs: 240_000, probeMs: 10_000 };

type Step = "ok" | "gone" | FailureKind | { kind: FailureKind; retryAfterMs: number };

/** Lets a breaker live through steps at times in seconds; "ask" takes a probe where one is to be had. */
function live(...steps: [number, Step | "ask"][]): Breaker {
  return steps.reduce((b, [seconds, step]) => {
    const now = 1_000_000 + seconds * 1000;
    if (step === "ask") return admit(b, now, settings).breaker;
    if (step === "ok") return succeeded(b, now, settings);
    if (step === "gone") return abandoned(b);
    const failure = typeof step === "string" ? new Failure(step, "x") : new Failure(step.kind, "x", step);
    return failed(b, failure, now, settings);
  }, closed);
}

const allowedAt = (b: Breaker, seconds: number) => admit(b, 1_000_000 + seconds * 1000, settings).allowed;

describe("a breaker", () => {
  it.each([
    ["nothing has happened", [], 0, true],
    [
      "two failures",
      [
        [0, "failed"],
        [1, "late"],
      ],
      1,
      true,
    ],
    [
      "the third failure in a window",
      [
        [0, "failed"],
        [1, "late"],
        [2, "cut"],
      ],
      2,
      false,
    ],
    [
      "an open time that is not over",
      [
        [0, "failed"],
        [0, "failed"],
        [0, "failed"],
      ],
      19.9,
      false,
    ],
    [
      "an open time that is over",
      [
        [0, "failed"],
        [0, "failed"],
        [0, "failed"],
      ],
      20,
      true,
    ],
    [
      "three failures over more than a window",
      [
        [0, "failed"],
        [20, "failed"],
        [31, "failed"],
      ],
      31,
      true,
    ],
    [
      "three failures among more answers",
      [
        [0, "ok"],
        [0, "ok"],
        [0, "ok"],
        [0, "ok"],
        [1, "failed"],
        [1, "failed"],
        [1, "failed"],
      ],
      1,
      true,
    ],
    [
      "every second answer failing",
      [
        [0, "limited"],
        [0, "ok"],
        [1, "limited"],
        [1, "ok"],
        [2, "limited"],
      ],
      2,
      false,
    ],
    [
      "requests that are wrong themselves",
      [
        [0, "rejected"],
        [0, "rejected"],
        [0, "rejected"],
        [0, "rejected"],
      ],
      0,
      true,
    ],
    ["one refused key", [[0, "denied"]], 239, false],
    ["a refused key, later", [[0, "denied"]], 240, true],
    ["one empty purse", [[0, "unpaid"]], 1, false],
    ["a limit with a time", [[0, { kind: "limited", retryAfterMs: 7000 }]], 6.9, false],
    ["a limit whose time is over", [[0, { kind: "limited", retryAfterMs: 7000 }]], 7, true],
    ["a limit with an endless time", [[0, { kind: "limited", retryAfterMs: 1e12 }]], 300, true],
    [
      "malformed answers",
      [
        [0, "malformed"],
        [0, "malformed"],
        [0, "malformed"],
      ],
      1,
      false,
    ],
    [
      "empty answers",
      [
        [0, "empty"],
        [0, "empty"],
        [0, "empty"],
      ],
      1,
      false,
    ],
    [
      "a probe under way",
      [
        [0, "denied"],
        [240, "ask"],
      ],
      241,
      false,
    ],
    [
      "a probe that is overdue",
      [
        [0, "denied"],
        [240, "ask"],
      ],
      250,
      true,
    ],
    [
      "a probe whose caller left",
      [
        [0, "denied"],
        [240, "ask"],
        [241, "gone"],
      ],
      241,
      true,
    ],
    [
      "a probe that answered",
      [
        [0, "denied"],
        [240, "ask"],
        [241, "ok"],
      ],
      241,
      true,
    ],
    [
      "a probe that was rejected, and so read",
      [
        [0, "denied"],
        [240, "ask"],
        [241, "rejected"],
      ],
      241,
      true,
    ],
    [
      "a probe that failed, for twice as long",
      [
        [0, "failed"],
        [0, "failed"],
        [0, "failed"],
        [20, "ask"],
        [21, "late"],
      ],
      60,
      false,
    ],
    [
      "a probe that failed, after twice as long",
      [
        [0, "failed"],
        [0, "failed"],
        [0, "failed"],
        [20, "ask"],
        [21, "late"],
      ],
      61,
      true,
    ],
    [
      "an answer from before it opened",
      [
        [0, "failed"],
        [0, "failed"],
        [0, "failed"],
        [1, "ok"],
      ],
      2,
      false,
    ],
    [
      "a failure from before it opened",
      [
        [0, "failed"],
        [0, "failed"],
        [0, "failed"],
        [5, "failed"],
      ],
      20,
      true,
    ],
  ] as [string, [number, Step | "ask"][], number, boolean][])("after %s", (_, steps, at, allowed) => {
    expect(allowedAt(live(...steps), at)).toBe(allowed);
  });

  it("never stays open longer than the longest", () => {
    let steps: [number, Step | "ask"][] = [
      [0, "failed"],
      [0, "failed"],
      [0, "failed"],
    ];
    for (let n = 1; n <= 30; n++) {
      steps = [...steps, [n * 1000, "ask"], [n * 1000, "late"]];
    }
    const b = live(...steps);
    expect([allowedAt(b, 30_299), allowedAt(b, 30_300)]).toEqual([false, true]);
  });

  it("lets one probe through, whoever asks first", () => {
    const b = live([0, "denied"], [240, "ask"]);
    expect([1, 2, 3].map(() => allowedAt(b, 240))).toEqual([false, false, false]);
  });
});

describe("what isolates tell each other", () => {
  it("is taken over when it is newer, and the other way round is not", () => {
    const open = live([0, "denied"]);
    const shut = live([0, "denied"], [240, "ask"], [241, "ok"]);
    expect(allowedAt(learn(closed, share(open)), 1)).toBe(false);
    expect(allowedAt(learn(open, share(shut)), 1)).toBe(true);
    expect(learn(shut, share(open))).toBe(shut);
  });

  it.each([
    null,
    7,
    "x",
    {},
    { openUntil: "1", opened: 1, reason: null, changedAt: 1 },
    { openUntil: -1, opened: 0, reason: null, changedAt: 0 },
  ])("is ignored when it is %j", (value) => {
    expect(parseShared(value)).toBeUndefined();
  });

  it("reads back what it writes", () => {
    const shared = share(live([0, "unpaid"]));
    expect(parseShared(JSON.parse(JSON.stringify(shared)))).toEqual(shared);
  });
});
