import { describe, expect, it } from "vitest";

import type { Caller } from "../caller";
import { Problem } from "../problem";
import { accountOf, isAccount } from "./account";
import { creditsOf, microOf, priceOf } from "./micro";

describe("micro-credits", () => {
  it.each([
    [0, 0],
    [1, 1_000_000],
    [-0.00615, -6150],
    [0.1 + 0.2, undefined], // 0.30000000000000004
    [0.3, 300_000],
    [1e-7, undefined],
    [999_999_999.999999, 999_999_999_999_999],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [1e300, undefined],
  ])("of %s credits are %s", (credits, micro) => {
    expect(microOf(credits)).toBe(micro);
  });

  it("come back from credits unchanged, also large and odd ones", () => {
    for (let i = 0; i < 20_000; i++) {
      const micro = Math.floor((Math.random() - 0.5) * 2e15);
      expect(microOf(JSON.parse(JSON.stringify(creditsOf(micro))))).toBe(micro);
    }
  });

  it.each([
    [1, 50],
    [1000, 50_000],
    [123, 6150],
    [20_000_000, 1_000_000_000],
  ])("price %s tokens at %s", (tokens, micro) => {
    expect(priceOf(tokens)).toBe(micro);
  });
});

describe("an account's name", () => {
  const long = `${"a".repeat(307)}@example.test`;
  it.each([
    ["ada@example.test", true],
    ["ü+tag/'\"%{x}@exämple.test", true],
    [long, true],
    [`a${long}`, false],
    [`${"ü".repeat(160)}@x`, false],
    ["guest:0b0e0f6e", false],
    ["system:revenue", false],
    ["Ada@example.test", false],
    ["a\u0000b@example.test", false],
    ["\ud800@example.test", false],
    ["", false],
  ])("%j: %s", (name, ok) => {
    expect(isAccount(name)).toBe(ok);
  });

  const caller = (change: Partial<Caller>): Caller => ({ id: null, role: null, tenant: null, admin: false, ...change });

  it.each([
    ["nobody named by the admin key", caller({ admin: true }), 400, "missing_email"],
    ["a guest", caller({ id: "guest:1", role: "guest" }), 403, "account_required"],
    ["a name with a colon", caller({ id: "a:b@example.test", role: "user" }), 400, "invalid_email"],
  ])("is refused of %s", (_, given, status, code) => {
    expect(() => accountOf(given)).toThrow(Problem);
    expect(() => accountOf(given)).toThrow(expect.objectContaining({ status, code }));
  });

  it("is the caller's own, or the one acted for", () => {
    expect(accountOf(caller({ id: "ada@example.test", role: "user" }))).toBe("ada@example.test");
    expect(accountOf(caller({ id: "ada@example.test", admin: true }))).toBe("ada@example.test");
  });
});
