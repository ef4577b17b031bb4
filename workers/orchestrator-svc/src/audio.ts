import { MODELS } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { AudioBounds } from "./tier";
import { playingMs } from "./wav";

interface Facts {
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
  /** How long it plays, where it says so itself. */
  readonly ms: number | undefined;
  /** How long it plays at most. */
  readonly mostMs: number;
}

/** Audio that goes with a question until it is heard. What is spelt of it, in a digest or a log, is its facts: JSON does not see the bytes. */
export class Audio implements Facts {
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly ms: number | undefined;
  readonly mostMs: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor({ type, bytes, sha256, ms, mostMs }: Facts, content: Uint8Array<ArrayBuffer>) {
    this.type = type;
    this.bytes = bytes;
    this.sha256 = sha256;
    this.ms = ms;
    this.mostMs = mostMs;
    this.#bytes = content;
  }

  /** As OpenAI's format takes it: the name says the type. */
  get file(): File {
    return new File([this.#bytes], `audio.${this.type}`, { type: `audio/${this.type}` });
  }

  /** As Workers AI takes it. */
  get base64(): string {
    return this.#bytes.toBase64();
  }

  /** The most text that is said in it, in bytes of UTF-8. */
  get mostBytes(): number {
    return Math.ceil(this.mostMs / MODELS.hearing.windowMs) * MODELS.hearing.windowBytes;
  }
}

/** Every model that hears takes these. An MP3 begins with what is said of it, or with a frame of the third layer. */
const kinds: readonly { readonly type: string; readonly at: number; readonly magic: string }[] = [
  { type: "wav", at: 8, magic: "WAVE" },
  { type: "mp3", at: 0, magic: "ID3" },
  ...["\xe2", "\xe3", "\xf2", "\xf3", "\xfa", "\xfb"].map((layer) => ({ type: "mp3", at: 0, magic: `\xff${layer}` })),
  { type: "ogg", at: 0, magic: "OggS" },
  { type: "webm", at: 0, magic: "\x1a\x45\xdf\xa3" },
  { type: "m4a", at: 4, magic: "ftyp" },
  { type: "flac", at: 0, magic: "fLaC" },
];

/** The type that a file was stored as, if it is one of audio that models take. */
export function isAudioType(type: string): boolean {
  return /^audio\/((x-|vnd\.)?wave?|mpeg|mp3|ogg|webm|mp4|(x-)?m4a|(x-)?flac)\b/.test(type);
}

/** Audio of these bytes, by what they are and not by what they are called. */
export async function audioOf(bytes: Uint8Array<ArrayBuffer>, bounds: AudioBounds): Promise<Audio> {
  refuseHeavy(bytes.byteLength, bounds);
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  const type = kinds.find(({ at, magic }) => head.startsWith(magic, at))?.type;
  const ms = type === "wav" ? playingMs(bytes) : undefined;
  if (type === undefined || (type === "wav" && ms === undefined)) {
    throw new Problem(415, "audio_unreadable", "Audio is WAV (PCM), MP3, Ogg, WebM, M4A or FLAC, and this is none of them.");
  }
  refuseLong(ms ?? 0, bounds);
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  return new Audio({ type, bytes: bytes.byteLength, sha256, ms, mostMs: ms ?? bounds.seconds * 1000 }, bytes);
}

/** Refuses more pieces of audio than a tier has heard with one question. */
export function refuseManyAudios(count: number, { max }: AudioBounds): void {
  if (count > max) {
    throw max === 0
      ? new Problem(400, "tier_does_not_hear", "No audio is heard for this tier.")
      : new Problem(400, "too_many_audios", `This tier has up to ${max} pieces of audio heard with a question, and these are ${count}.`);
  }
}

/** Refuses audio by its bytes alone. */
export function refuseHeavy(bytes: number, bounds: AudioBounds): void {
  if (bytes > bounds.bytes) {
    throw new Problem(413, "audio_too_large", `This tier has up to ${bounds.bytes} bytes of audio heard, and this is ${bytes}.`);
  }
}

/** Refuses audio that plays for longer than a tier has heard with one question. */
export function refuseLong(ms: number, { seconds }: AudioBounds): void {
  if (ms > seconds * 1000) {
    throw new Problem(413, "audio_too_long", `This tier has up to ${seconds} s of audio heard, and this is ${Math.ceil(ms / 1000)} s.`);
  }
}

/** Holds all audio of a question against what its tier has heard, as far as it says itself how long it is. */
export function refuseTooMuchAudio(audios: readonly Audio[], bounds: AudioBounds): void {
  refuseManyAudios(audios.length, bounds);
  refuseHeavy(
    audios.reduce((sum, { bytes }) => sum + bytes, 0),
    bounds,
  );
  refuseLong(
    audios.reduce((sum, { ms = 0 }) => sum + ms, 0),
    bounds,
  );
}

/** Reads the input_audio of OpenAI's format. */
export async function audioOfPart(part: unknown, bounds: AudioBounds): Promise<Audio> {
  const { data, format } = ((part as { input_audio?: unknown }).input_audio ?? {}) as { data?: unknown; format?: unknown };
  const invalid = () => new Problem(400, "invalid_input_audio", 'input_audio is {"data": "…" in base64, "format": "wav" or "mp3"}.');
  if (typeof data !== "string" || (format !== "wav" && format !== "mp3")) {
    throw invalid();
  }
  refuseHeavy(Math.floor((data.length * 3) / 4) - 2, bounds);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.fromBase64(data);
  } catch {
    throw invalid();
  }
  return audioOf(bytes, bounds);
}
