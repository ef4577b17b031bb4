import { uuidv7 } from "../../shared/src/ids";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { fileName } from "./name";
import { type Owner, ownerOf, spellKey } from "./owner";
import { type Entry, release, reserve, settle } from "./register";
import { declaredType, refuseOtherType, sniffedBytes } from "./sniff";

/** Takes a file in as it comes: its beginning is looked at, and the rest goes to the bucket without being held. */
export function upload(call: Call<Env>): Promise<Response> {
  const taken = take(call);
  // A caller that goes away ends the request: what it left behind must still be cleaned up.
  call.ctx.waitUntil(taken.catch(() => {}));
  return taken;
}

async function take(call: Call<Env>): Promise<Response> {
  const { request, caller, env } = call;
  const owner = ownerOf(caller);
  const url = new URL(request.url);
  const name = fileName(url.searchParams.get("filename"));
  const content_type = declaredType(request.headers.get("content-type"));
  const size = declaredLength(request);
  const body = request.body as ReadableStream<Uint8Array>;
  const head = await readHead(body, size);
  refuseOtherType(content_type, head);
  const id = uuidv7(Date.now());
  const entry: Entry = { id, key: spellKey(owner, id, name), name, size, content_type };
  await reserve(env.R2_UPLOADS, owner, caller, entry);
  const stored = await store(env.R2_UPLOADS, owner, entry, { head, body, route: url.pathname });
  return json({ ok: true, key: entry.key, size: stored.size, etag: stored.etag, version: stored.version, content_type });
}

function declaredLength(request: Request): number {
  const length = request.headers.get("content-length");
  if (length === null || !/^\d{1,15}$/.test(length)) {
    throw new Problem(411, "length_required", "Content-Length is not given.");
  }
  if (Number(length) === 0 || request.body === null) {
    throw new Problem(400, "empty_file", "The body is empty.");
  }
  return Number(length);
}

/** The beginning of a file, however small the pieces are that it comes in. */
async function readHead(body: ReadableStream, size: number): Promise<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  try {
    const wanted = Math.min(size, sniffedBytes);
    const { value } = await reader.readAtLeast(wanted, new Uint8Array(wanted));
    if (value === undefined || value.byteLength < wanted) {
      throw new Problem(400, "upload_incomplete", "Fewer bytes came than Content-Length says.");
    }
    return value;
  } finally {
    reader.releaseLock();
  }
}

interface Source {
  readonly head: Uint8Array;
  readonly body: ReadableStream<Uint8Array>;
  readonly route: string;
}

/** Either the whole file is stored and shown, or nothing of it stays. */
async function store(bucket: R2Bucket, owner: Owner, entry: Entry, source: Source): Promise<R2Object> {
  try {
    const stored = await stream(bucket, owner, entry, source);
    await settle(bucket, owner, entry);
    return stored;
  } catch (error) {
    await bucket.delete(entry.key);
    await release(bucket, owner, entry.id);
    // A client that was cut off does not read this: who reads it sent all that it said, and it could not be kept.
    throw new Problem(503, "file_not_stored", "Send it again.", { cause: error });
  }
}

async function stream(bucket: R2Bucket, owner: Owner, entry: Entry, { head, body, route }: Source): Promise<R2Object> {
  // It fails when fewer or more bytes come than were declared, and then the bucket keeps nothing.
  const { readable, writable } = new FixedLengthStream(entry.size);
  const storing = bucket.put(entry.key, readable, {
    httpMetadata: { contentType: entry.content_type },
    customMetadata: { uploader: owner.id, route, original_filename: entry.name },
  });
  // Each side fails when the other does. Both are waited for, so that nothing is stored after this.
  const [stored, sent] = await Promise.allSettled([storing, send(head, body, writable)]);
  if (stored.status === "rejected" || sent.status === "rejected") {
    throw stored.status === "rejected" ? stored.reason : (sent as PromiseRejectedResult).reason;
  }
  return stored.value;
}

/** The rest is piped inside the runtime: no byte of it passes through JavaScript. */
async function send(head: Uint8Array, body: ReadableStream<Uint8Array>, to: WritableStream<Uint8Array>): Promise<void> {
  const writer = to.getWriter();
  await writer.write(head);
  writer.releaseLock();
  await body.pipeTo(to);
}
