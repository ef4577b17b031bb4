import { describe, expect, it } from "vitest";

import { Stitcher } from "./stitch";

/** Joins text to what was sent, in pieces of some length. */
function joined(sent: string, continuation: string, piece = 3): string {
  const stitcher = new Stitcher(sent);
  let all = sent;
  for (let at = 0; at < continuation.length; at += piece) {
    all += stitcher.push(continuation.slice(at, at + piece));
  }
  return all + stitcher.end();
}

describe("a second model's words", () => {
  it.each([
    ["go on where the first stopped", "The quick brown", " fox jumps.", "The quick brown fox jumps."],
    ["begin again", "The quick brown", "The quick brown fox jumps.", "The quick brown fox jumps."],
    ["repeat the last words", "Once. The quick brown", "The quick brown fox.", "Once. The quick brown fox."],
    ["repeat all and add nothing", "The quick brown", "The quick brown", "The quick brown"],
    ["repeat what was sent in its middle, and mean it", "to be or not", " to be", "to be or not to be"],
    ["begin with a word that ended the first", "give me a", "a banana", "give me aa banana"],
    ["say something else", "The quick brown", "A different answer", "The quick brownA different answer"],
    ["have nothing before them", "", "The quick", "The quick"],
    ["are none", "The quick", "", "The quick"],
    ["repeat a very short beginning", "Hi", "Hi there", "Hi there"],
  ])("%s", (_, sent, continuation, want) => {
    for (const piece of [1, 2, 3, 5, 100]) {
      expect(joined(sent, continuation, piece)).toBe(want);
    }
  });

  it("never repeat, wherever the first was cut and however the second begins", () => {
    const whole = "Numbers: 1234567890, 1234567890 again, and then words that differ from each other until the end.";
    for (let cut = 0; cut <= whole.length; cut++) {
      for (const from of [0, cut, Math.max(0, cut - 20)]) {
        if (cut - from >= 8 || from === cut || from === 0) {
          expect(joined(whole.slice(0, cut), whole.slice(from), (cut % 7) + 1), `${cut} ${from}`).toBe(whole);
        }
      }
    }
  });
});
