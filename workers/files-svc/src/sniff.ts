import { Problem } from "../../shared/src/problem";

/** How much of a file is looked at. */
export const sniffedBytes = 512;

export const anyType = "application/octet-stream";

interface Kind {
  /** The types that files of this kind are sent as. */
  readonly types: RegExp;
  readonly at: number;
  readonly magic: readonly number[];
}

const ascii = (text: string): number[] => [...text].map((c) => c.charCodeAt(0));

const mpegAudio = /^audio\/(mpeg|mp3|x-mp3|x-mpeg|mpeg3|x-mpeg-3)$/;

/** The second byte of a frame's header (ISO/IEC 11172-3, 2.4.2.3): MPEG 1, 2 and 2.5, layers II and III, with a checksum and without. */
const mpegFrames = [0xfa, 0xfb, 0xfc, 0xfd, 0xf2, 0xf3, 0xf4, 0xf5, 0xe2, 0xe3, 0xe4, 0xe5] as const;

/** What begins in a way of its own. More than one kind may be of one type, and a file of such a type begins as one of them. */
const kinds: readonly Kind[] = [
  { types: /^image\/png$/, at: 0, magic: [0x89, ...ascii("PNG\r\n"), 0x1a, 0x0a] },
  { types: /^image\/jpe?g$/, at: 0, magic: [0xff, 0xd8, 0xff] },
  { types: /^image\/gif$/, at: 0, magic: ascii("GIF8") },
  { types: /^image\/webp$/, at: 8, magic: ascii("WEBP") },
  { types: /^audio\/(x-|vnd\.)?wave?$/, at: 8, magic: ascii("WAVE") },
  { types: /^audio\/(x-)?flac$/, at: 0, magic: ascii("fLaC") },
  ...[2, 3, 4].map((version) => ({ types: mpegAudio, at: 0, magic: [...ascii("ID3"), version] })),
  ...mpegFrames.map((second) => ({ types: mpegAudio, at: 0, magic: [0xff, second] })),
  { types: /^application\/pdf$/, at: 0, magic: ascii("%PDF-") },
  { types: /^application\/(zip|x-zip-compressed|java-archive|epub\+zip|vnd\..+)$/, at: 0, magic: [...ascii("PK"), 3, 4] },
  { types: /^application\/(gzip|x-gzip)$/, at: 0, magic: [0x1f, 0x8b] },
  { types: /^(audio|video|image)\/(mp4|quicktime|m4a|x-m4a|avif|heic|heif|3gpp)$/, at: 4, magic: ascii("ftyp") },
  { types: /^(audio|video)\/(webm|x-matroska)$/, at: 0, magic: [0x1a, 0x45, 0xdf, 0xa3] },
  { types: /^(audio|video|application)\/ogg$/, at: 0, magic: ascii("OggS") },
  { types: /^application\/x-(elf|executable|sharedlib)$/, at: 0, magic: [0x7f, ...ascii("ELF")] },
];

/** Office formats of their own, which are not always archives: application/vnd. alone proves nothing. */
const loose = /^application\/vnd\./;

/** Reads a Content-Type down to its type; without one a file is any bytes. */
export function declaredType(header: string | null): string {
  const [type] = (header ?? anyType).split(";");
  const spelt = (type as string).trim().toLowerCase();
  if (!/^[a-z0-9][\w.+-]{0,62}\/[a-z0-9][\w.+-]{0,126}$/.test(spelt)) {
    throw new Problem(400, "invalid_content_type", "Content-Type is not a media type.");
  }
  return spelt;
}

/** Holds how a file begins against what it is said to be. Bytes that are said to be any bytes are believed. */
export function refuseOtherType(declared: string, head: Uint8Array): void {
  if (declared === anyType) {
    return;
  }
  const found = kinds.find(({ at, magic }) => magic.every((byte, i) => head[at + i] === byte));
  const expected = kinds.some(({ types }) => types.test(declared)) && !loose.test(declared);
  const binary = declared.startsWith("text/") || declared === "application/json" ? head.includes(0) : false;
  const differs = found === undefined ? expected : !found.types.test(declared);
  if (differs || binary) {
    throw new Problem(415, "content_type_mismatch", `The file does not begin as ${declared} does.`);
  }
}
