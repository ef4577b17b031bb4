import { Problem } from "../../shared/src/problem";
import type { ImageBounds } from "./tier";

/** What a caller or the contract may say of how closely an image is looked at. */
export type Detail = "low" | "high";

interface Facts {
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
  /** The most that it comes to, at whichever model sees it. */
  readonly tokens: number;
  /** That it need not be looked at closely, by the caller's word. */
  readonly detail: "low" | undefined;
}

/** An image that goes with a question. What is spelt of it, in a digest or a log, is its facts: JSON does not see the bytes. */
export class Image implements Facts {
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly tokens: number;
  readonly detail: "low" | undefined;
  readonly #base64: string;

  constructor({ type, bytes, sha256, tokens, detail }: Facts, base64: string) {
    this.type = type;
    this.bytes = bytes;
    this.sha256 = sha256;
    this.tokens = tokens;
    this.detail = detail;
    this.#base64 = base64;
  }

  /** As models take it. */
  get url(): string {
    return `data:${this.type};base64,${this.#base64}`;
  }
}

/** Every model that sees takes these, and knows them by how they begin. */
const kinds: readonly { readonly type: string; readonly at: number; readonly magic: string }[] = [
  { type: "image/png", at: 0, magic: "\x89PNG\r\n\x1a\n" },
  { type: "image/jpeg", at: 0, magic: "\xff\xd8\xff" },
  { type: "image/gif", at: 0, magic: "GIF8" },
  { type: "image/webp", at: 8, magic: "WEBP" },
];

/** The type that a file was stored as, if it is one of an image that models take. */
export function isImageType(type: string): boolean {
  return /^image\/(png|jpe?g|gif|webp)$/.test(type);
}

/** An image of these bytes, by what they are and not by what they are called. */
export async function imageOf(bytes: Uint8Array<ArrayBuffer>, bounds: ImageBounds, detail?: "low"): Promise<Image> {
  refuseLarge(bytes.byteLength, bounds);
  const head = String.fromCharCode(...bytes.subarray(0, 12));
  const kind = kinds.find(({ at, magic }) => head.startsWith(magic, at));
  if (kind === undefined) {
    throw new Problem(415, "image_unreadable", "An image is a PNG, a JPEG, a GIF or a WebP, and this is none of them.");
  }
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  return new Image({ type: kind.type, bytes: bytes.byteLength, sha256, tokens: bounds.tokens, detail }, bytes.toBase64());
}

/** Refuses an image by its size alone. */
export function refuseLarge(bytes: number, { eachBytes }: ImageBounds): void {
  if (bytes > eachBytes) {
    throw new Problem(413, "image_too_large", `This tier is shown images of up to ${eachBytes} bytes, and this is ${bytes}.`);
  }
}

/** Refuses more images than a tier is shown in one question. */
export function refuseMany(count: number, { max }: ImageBounds): void {
  if (count > max) {
    throw max === 0
      ? new Problem(400, "tier_does_not_see", "No model of this tier is shown images.")
      : new Problem(400, "too_many_images", `This tier is shown up to ${max} images with a question, and these are ${count}.`);
  }
}

/** Holds all images of a question against what its tier is shown. */
export function refuseTooMuch(images: readonly Image[], bounds: ImageBounds): void {
  refuseMany(images.length, bounds);
  const bytes = images.reduce((sum, image) => sum + image.bytes, 0);
  if (bytes > bounds.allBytes) {
    throw new Problem(413, "images_too_large", `This tier is shown up to ${bounds.allBytes} bytes of images, and these are ${bytes}.`);
  }
}

/** Reads the image_url of OpenAI's format. The bytes are in it: whoever fetched what callers name would fetch for them where they cannot. */
export async function imageOfPart(part: unknown, bounds: ImageBounds): Promise<Image> {
  const { url, detail = "auto" } = ((part as { image_url?: unknown }).image_url ?? {}) as { url?: unknown; detail?: unknown };
  if (typeof url !== "string" || !["auto", "low", "high"].includes(detail as string)) {
    throw new Problem(400, "invalid_image_url", 'image_url is {"url": "data:…", "detail": "auto", "low" or "high"}.');
  }
  if (!/^data:/i.test(url)) {
    throw new Problem(400, "image_url_not_fetched", "Nothing is fetched for callers: an image is sent as a data: URL, in base64.");
  }
  return imageOf(bytesOf(url, bounds), bounds, detail === "low" ? "low" : undefined);
}

function bytesOf(url: string, bounds: ImageBounds): Uint8Array<ArrayBuffer> {
  const comma = url.indexOf(",");
  if (comma < 0 || !/;base64$/i.test(url.slice(0, comma))) {
    throw new Problem(400, "invalid_image_url", "The data: URL is not in base64.");
  }
  refuseLarge(Math.floor(((url.length - comma - 1) * 3) / 4) - 2, bounds);
  try {
    return Uint8Array.fromBase64(url.slice(comma + 1));
  } catch {
    throw new Problem(400, "invalid_image_url", "The data: URL is not in base64.");
  }
}
