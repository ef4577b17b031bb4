const chunkOf = (name: string) => [...name].reduce((sum, c) => sum * 256 + c.charCodeAt(0), 0);
const [format, data] = [chunkOf("fmt "), chunkOf("data")];
const headBytes = 8;

/** PCM, floating point, A-law, µ-law, and what says which of them it is further on: each second of them is as many bytes. */
const steady = [1, 3, 6, 7, 0xfffe];

/**
 * How long a WAV plays at most, in milliseconds; undefined where its header does not say. All that follows the head of its samples counts
 * as samples: what it says of their number need not be true, and players go on to the next.
 */
export function playingMs(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let bytesASecond: number | undefined;
  for (let at = 12; at + headBytes <= view.byteLength; ) {
    const [chunk, size] = [view.getUint32(at), view.getUint32(at + 4, true)];
    if (chunk === data) {
      const samples = view.byteLength - at - headBytes;
      return bytesASecond === undefined || samples === 0 ? undefined : Math.ceil((samples * 1000) / bytesASecond);
    }
    if (chunk === format) {
      if (bytesASecond !== undefined || size < 16 || at + headBytes + 16 > view.byteLength) {
        return undefined;
      }
      bytesASecond = rateOf(view, at + headBytes);
    }
    at += headBytes + size + (size % 2);
  }
  return undefined;
}

/** Bytes a second, where the parts of the format agree on it. */
function rateOf(view: DataView, at: number): number | undefined {
  const [kind, channels, samples] = [view.getUint16(at, true), view.getUint16(at + 2, true), view.getUint32(at + 4, true)];
  const [rate, block, bits] = [view.getUint32(at + 8, true), view.getUint16(at + 12, true), view.getUint16(at + 14, true)];
  const agree = block > 0 && block * 8 === channels * bits && rate === samples * block;
  return steady.includes(kind) && agree && samples >= 1_000 && samples <= 768_000 ? rate : undefined;
}
