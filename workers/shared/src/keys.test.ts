import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { KEYS, key } from "./keys";

interface Vector {
  name: string;
  format: keyof typeof KEYS;
  values: Record<string, string>;
  key?: string;
  refused?: boolean;
}

describe("key, by the vectors that Go reads too", () => {
  const vectors = JSON.parse(env.TEST_KEY_VECTORS) as Vector[];

  it.each(vectors)("$name", ({ format, values, key: want, refused }) => {
    const spell = () => key(KEYS[format] as { format: string; separators: string; maxBytes: number }, values);
    if (refused === true) {
      expect(spell).toThrow(RangeError);
    } else {
      expect(spell()).toBe(want);
    }
  });

  it("lower-cases an email and nothing else", () => {
    const format = { format: "b:{email}:{id}", separators: ":", maxBytes: 512 } as const;
    expect(key(format, { email: "A@B.Test", id: "ID" })).toBe("b:a@b.test:ID");
  });

  it("makes a missing value a type error", () => {
    // @ts-expect-error name is missing
    expect(() => key(KEYS.artifact, { id: "1" })).toThrow(RangeError);
  });
});
