/** A WAV of one channel of 8 bits at 8,000 samples a second, which are said as text: what plays is an eighth of a millisecond a character. */
export function wavOf(samples: string, about: Partial<Format> = {}): Uint8Array<ArrayBuffer> {
  const { kind, channels, rate, bits } = { kind: 1, channels: 1, rate: 8_000, bits: 8, ...about };
  const block = (channels * bits) / 8;
  const head = new DataView(new ArrayBuffer(44));
  const name = (at: number, text: string) => {
    for (const [i, c] of [...text].entries()) {
      head.setUint8(at + i, c.charCodeAt(0));
    }
  };
  name(0, "RIFF");
  head.setUint32(4, 36 + samples.length, true);
  name(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, kind, true);
  head.setUint16(22, channels, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * block, true);
  head.setUint16(32, block, true);
  head.setUint16(34, bits, true);
  name(36, "data");
  head.setUint32(40, samples.length, true);
  return new Uint8Array([...new Uint8Array(head.buffer), ...new TextEncoder().encode(samples)]);
}

export interface Format {
  readonly kind: number;
  readonly channels: number;
  readonly rate: number;
  readonly bits: number;
}

/** A WAV that plays so long, and says how it is heard. */
export function wavLasting(ms: number, told: object = {}): Uint8Array<ArrayBuffer> {
  return wavOf(JSON.stringify(told).padEnd(ms * 8));
}

/** The beginnings of all that is taken but a WAV, which says how long it is. */
export const beginnings = {
  "audio/mpeg": "ID3\x04\0\0",
  "audio/ogg": "OggS\0\x02",
  "audio/webm": "\x1a\x45\xdf\xa3",
  "audio/mp4": "\0\0\0\x20ftypM4A ",
  "audio/flac": "fLaC\0\0\0\x22",
};
/** Text as bytes of one character each. */
export const bytesOf = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
