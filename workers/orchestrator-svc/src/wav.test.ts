import { describe, expect, it } from "vitest";

import { must, randomOf } from "../../shared/src/testing/random";
import { type Format, wavLasting, wavOf } from "../../shared/src/testing/sounds";
import { playingMs } from "./wav";

const join = (...parts: (Uint8Array | string)[]) =>
  new Uint8Array(parts.flatMap((part) => [...(typeof part === "string" ? Uint8Array.from(part, (c) => c.charCodeAt(0)) : part)]));
const whole = wavOf("x".repeat(16_000));
const [format, samples] = [whole.subarray(12, 36), whole.subarray(36)];
const riff = whole.subarray(0, 12);

describe("how long a WAV plays", () => {
  it.each<[string, Uint8Array, number | undefined]>([
    ["one channel of 8 bits", whole, 2_000],
    ["two of 16", wavOf("x".repeat(16_000), { channels: 2, bits: 16 }), 500],
    ["three of 24 at 48,000", wavOf("x".repeat(432_000), { channels: 3, bits: 24, rate: 48_000 }), 1_000],
    ["floating point", wavOf("x".repeat(16_000), { kind: 3, bits: 32 }), 500],
    ["A-law", wavOf("x".repeat(16_000), { kind: 6 }), 2_000],
    ["a part of a millisecond", wavOf("x"), 1],
    ["other things before it", join(riff, "LIST\x03\0\0\0abc\0", format, samples), 2_000],
    ["more samples after them", join(whole, "data\xff\0\0\0", "x".repeat(7_992)), 3_000],
    ["samples that say they are none", join(riff, format, "data\0\0\0\0", "x".repeat(8_000)), 1_000],
    ["samples that say they are endless", join(riff, format, "data\xff\xff\xff\xff", "x".repeat(8_000)), 1_000],
    ["no samples", join(riff, format, "data\0\0\0\0"), undefined],
    ["no format", join(riff, samples), undefined],
    ["two formats", join(riff, format, format, samples), undefined],
    ["a format that is cut off", join(riff, format.subarray(0, 20)), undefined],
    ["packed samples, of which nobody knows how long they are", wavOf("x".repeat(8_000), { kind: 0x55 }), undefined],
    ["a speed that nobody plays", wavOf("x".repeat(8_000), { rate: 4_000_000 }), undefined],
    ["one that is slower than sound", wavOf("x".repeat(8_000), { rate: 999 }), undefined],
    ["no channels", wavOf("x".repeat(8_000), { channels: 0 }), undefined],
    ["a chunk without an end", join(riff, "LIST\xff\xff\xff\xff"), undefined],
    ["nothing", new Uint8Array(), undefined],
  ])("of %s", (_, bytes, ms) => {
    expect(playingMs(bytes)).toBe(ms);
  });

  it("is where it is told from, also in the middle of other bytes", () => {
    const around = join("before", whole, "after");
    expect(playingMs(around.subarray(6, 6 + whole.byteLength))).toBe(2_000);
  });

  it("is what was written, for any format", () => {
    const random = randomOf(1);
    for (let run = 0; run < 2_000; run++) {
      const about: Format = { kind: 1, channels: 1 + random(8), rate: 1_000 + random(191_000), bits: 8 * (1 + random(4)) };
      const played = 1 + random(3_000);
      const ms = playingMs(wavOf("x".repeat(played), about));
      const exact = (played * 1000) / ((about.rate * about.channels * about.bits) / 8);
      must(ms !== undefined && ms >= exact && ms < exact + 1, () => `${JSON.stringify(about)} of ${played} bytes: ${ms}`);
    }
  });
});

describe("any bytes from outside", () => {
  /** A byte is a millisecond at most: nothing is played more slowly than a thousand samples a second. */
  const holds = (bytes: Uint8Array) => {
    const ms = playingMs(bytes);
    must(ms === undefined || (Number.isInteger(ms) && ms > 0 && ms <= bytes.byteLength), () => `${ms} for ${bytes.toHex()}`);
    return ms;
  };

  it("are read to their end, or not at all", () => {
    const random = randomOf(2);
    for (let run = 0; run < 20_000; run++) {
      holds(Uint8Array.from({ length: random(120) }, () => random(256)));
    }
  });

  it("that were a WAV are no longer or shorter than they can be", () => {
    const random = randomOf(3);
    let told = 0;
    for (let run = 0; run < 20_000; run++) {
      const bytes = wavLasting(10).slice(0, 12 + random(120));
      for (let change = 1 + random(4); change > 0; change--) {
        bytes[random(bytes.byteLength)] = random(256);
      }
      told += holds(bytes) === undefined ? 0 : 1;
    }
    expect(told).toBeGreaterThan(1_000);
  });
});
