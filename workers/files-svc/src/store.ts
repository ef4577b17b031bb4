import { Problem } from "../../shared/src/problem";
import type { Owner } from "./owner";
import { type Entry, release, settle } from "./register";

/** A file that is whole, and listed. */
export interface Stored {
  readonly entry: Entry;
  readonly etag: string;
  readonly version: string;
}

/** What a file is stored with, by which its owner and its name are found again. */
export function optionsOf(owner: Owner, entry: Entry, route: string): R2PutOptions & R2MultipartOptions {
  return {
    httpMetadata: { contentType: entry.content_type },
    customMetadata: { uploader: owner.id, route, original_filename: entry.name },
  };
}

export function declaredLength(request: Request): number {
  const length = request.headers.get("content-length");
  if (length === null || !/^\d{1,15}$/.test(length)) {
    throw new Problem(411, "length_required", "Content-Length is not given.");
  }
  if (Number(length) === 0 || request.body === null) {
    throw new Problem(400, "empty_file", "The body is empty.");
  }
  return Number(length);
}

export function incomplete(cause?: unknown): Problem {
  return new Problem(400, "upload_incomplete", "The body is not as long as Content-Length says.", { cause });
}

export function notStored(cause: unknown): Problem {
  return new Problem(503, "file_not_stored", "Send it again.", { cause });
}

/** The beginning of a file, however small the pieces are that it comes in. */
export async function readHead(body: ReadableStream, wanted: number): Promise<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  try {
    const { value } = await reader.readAtLeast(wanted, new Uint8Array(wanted)).catch((cause) => Promise.reject(incomplete(cause)));
    if (value === undefined || value.byteLength < wanted) {
      throw incomplete();
    }
    return value;
  } finally {
    reader.releaseLock();
  }
}

/** A body whose beginning was read, and how long it says that it is as a whole. */
export interface Source {
  readonly head: Uint8Array;
  readonly body: ReadableStream<Uint8Array>;
  readonly size: number;
}

/** Either the whole file is stored and shown, or nothing of it stays. */
export async function store(bucket: R2Bucket, owner: Owner, entry: Entry, source: Source, options: R2PutOptions): Promise<Stored> {
  try {
    const { etag, version } = await pour(source, (readable) => bucket.put(entry.key, readable, options));
    await settle(bucket, owner, entry);
    return { entry, etag, version };
  } catch (error) {
    await bucket.delete(entry.key);
    await release(bucket, owner, entry.id);
    throw error instanceof Problem ? error : notStored(error);
  }
}

/** Sends a body to where it is kept. It fails when fewer or more bytes come than were declared, and then nothing is kept. */
export async function pour<T>({ head, body, size }: Source, keep: (readable: ReadableStream) => Promise<T>): Promise<T> {
  const { readable, writable } = new FixedLengthStream(size);
  const keeping = keep(readable).catch(async (cause) => {
    if (!readable.locked) {
      await readable.cancel(cause); // it failed without reading: otherwise the sender would wait for ever
    }
    throw cause;
  });
  // Each side fails when the other does. Both are waited for, so that nothing is stored after this.
  const [kept, sent] = await Promise.allSettled([keeping, send(head, body, writable)]);
  if (kept.status === "fulfilled" && sent.status === "fulfilled") {
    return kept.value;
  }
  const causes = [kept, sent].flatMap((side) => (side.status === "rejected" ? [side.reason] : []));
  throw causes.some((cause) => bySender.test(String(cause))) ? incomplete(causes[0]) : notStored(causes[0]);
}

/** Which side failed first cannot be told from the order. These are the runtime's words for a body that ends early, goes on, or is cut. */
const bySender = /FixedLengthStream|client disconnected/;

/** The rest is piped inside the runtime: no byte of it passes through JavaScript. */
async function send(head: Uint8Array, body: ReadableStream<Uint8Array>, to: WritableStream<Uint8Array>): Promise<void> {
  const writer = to.getWriter();
  await writer.write(head);
  writer.releaseLock();
  await body.pipeTo(to);
}
