import { expect, it } from "vitest";

import { isWithinBytes } from "./utf8";

it.each([
  ["", 0, true],
  ["a", 0, false],
  ["abc", 3, true],
  ["abcd", 3, false],
  ["é", 2, true],
  ["é", 1, false],
  ["€", 3, true],
  ["€", 2, false],
  ["😀", 4, true],
  ["😀", 3, false],
  ["\ud800", 3, true], // alone it is spelt as U+FFFD
  ["\ud800", 2, false],
])("%j is within %d bytes: %s", (text, most, within) => {
  expect(isWithinBytes(text, most)).toBe(within);
  expect(new TextEncoder().encode(text).byteLength <= most).toBe(within);
});
