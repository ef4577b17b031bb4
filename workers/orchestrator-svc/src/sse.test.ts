import { describe, expect, it } from "vitest";

import { EventReader } from "./sse";

const encoder = new TextEncoder();

const read = (...chunks: (string | number[])[]) => {
  const reader = new EventReader();
  return chunks.flatMap((chunk) => reader.push(typeof chunk === "string" ? encoder.encode(chunk) : new Uint8Array(chunk)));
};

/** The same rules with the whole text at hand: lines, then blocks of lines. Nothing of it is shared with the reader. */
function oracle(text: string): string[] {
  const lines = text
    .replace(/^\ufeff/, "")
    .replaceAll("\r\n", "\n")
    .replaceAll("\r", "\n")
    .split("\n");
  lines.pop(); // a line counts when its end has come
  const events: string[] = [];
  let block: string[] = [];
  for (const line of lines) {
    if (line === "") {
      const data = block.filter((l) => /^data(:|$)/.test(l)).map((l) => l.replace(/^data:? ?/, ""));
      events.push(...(data.length > 0 ? [data.join("\n")] : []));
      block = [];
    } else {
      block.push(line);
    }
  }
  return events;
}

/** A small generator of numbers, the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const scraps = [
  "data:",
  "data: ",
  "data",
  "event: x",
  ": comment",
  "id:1",
  "\n",
  "\r\n",
  "\r",
  "\n\n",
  "a",
  " ",
  "é",
  "😀",
  "{}",
  "dat",
  "\ufeff",
];

describe("EventReader", () => {
  it.each([
    ["one event", ["data: a\n\n"], ["a"]],
    ["an event in pieces", ["da", "ta: a", "\n", "\n"], ["a"]],
    ["a line end cut between CR and LF", ["data: a\r", "\n\r", "\ndata: b\r\n\r\n"], ["a", "b"]],
    ["lines that end in CR", ["data: a\r\rdata: b\r\r", "x"], ["a", "b"]],
    [
      "a character in pieces",
      [
        [100, 97, 116, 97, 58, 0xf0, 0x9f],
        [0x98, 0x80, 10, 10],
      ],
      ["😀"],
    ],
    ["many lines of data", ["data: a\ndata:\ndata:  b\n\n"], ["a\n\n b"]],
    ["what is not data", [": hi\nevent: x\nid: 1\nretry: 2\ndatab: c\n\n"], []],
    ["an end that never came", ["data: a\n"], []],
    [
      "a byte order mark",
      [
        [0xef, 0xbb],
        [0xbf, 100, 97, 116, 97, 58, 97, 10, 10],
      ],
      ["a"],
    ],
  ] as [string, (string | number[])[], string[]][])("reads %s", (_, chunks, want) => {
    expect(read(...chunks)).toEqual(want);
  });

  it("agrees with an oracle that sees the whole text, however it is cut", () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const roll = dice(seed);
      const text = Array.from({ length: roll(24) }, () => scraps[roll(scraps.length)]).join("");
      const bytes = encoder.encode(`${text}x`); // a last character that ends no line: what a CR means is only known after it
      const reader = new EventReader();
      const got: string[] = [];
      for (let at = 0; at < bytes.length; ) {
        const next = at + roll(6);
        got.push(...reader.push(bytes.subarray(at, next)));
        at = next;
      }
      expect(got, JSON.stringify({ seed, text })).toEqual(oracle(`${text}x`));
    }
  });

  it.each([
    ["bytes that are not UTF-8", () => read([0xff, 0xfe])],
    ["an event without end", () => read("data: ", "x".repeat(2 << 20))],
    ["data without end", () => read(...Array.from({ length: 40 }, () => `data: ${"x".repeat(1 << 15)}\n`))],
  ])("refuses %s", (_, reading) => {
    expect(reading).toThrow("malformed");
  });
});
