import { uuidv7 } from "../../shared/src/ids";
import { json } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { malformed, takeForm } from "./form";
import { boundaryOf, FormError } from "./form-parser";
import { fileName } from "./name";
import { ownerOf, spellKey } from "./owner";
import { type Entry, reserve } from "./register";
import { declaredType, refuseOtherType, sniffedBytes } from "./sniff";
import { declaredLength, optionsOf, readHead, type Stored, store } from "./store";

/** Takes a file in as it comes, as a body of its own or in a form. */
export async function upload(call: Call<Env>): Promise<Response> {
  const boundary = formBoundary(call.request);
  const { entry, etag, version } = await untilDone(call, boundary === undefined ? take(call) : takeForm(call, boundary));
  const { key, size, content_type } = entry;
  return json({ ok: true, key, size, etag, version, content_type });
}

/**
 * What old clients send a file and a prompt by. Nothing works on prompts yet: the prompt is kept with the file's entry, and the answer
 * says what is so, that the file is stored and there is no job.
 */
export async function uploadForm(call: Call<Env>): Promise<Response> {
  const boundary = formBoundary(call.request);
  if (boundary === undefined) {
    throw malformed(new FormError("its Content-Type is not multipart/form-data"));
  }
  const { entry, etag, version } = await untilDone(call, takeForm(call, boundary));
  const { key, size, content_type } = entry;
  return json({ ok: true, key, size, etag, version, content_type, job_id: null, status: "stored" });
}

function formBoundary(request: Request): string | undefined {
  try {
    return boundaryOf(request.headers.get("content-type"));
  } catch (error) {
    throw error instanceof FormError ? malformed(error) : error;
  }
}

/** A caller that goes away ends the request: what it left behind must still be cleaned up. */
export function untilDone<T>(call: Call<Env>, work: Promise<T>): Promise<T> {
  call.ctx.waitUntil(work.catch(() => {}));
  return work;
}

/** The beginning is looked at, and the rest goes to the bucket without being held. */
async function take(call: Call<Env>): Promise<Stored> {
  const { request, caller, env } = call;
  const owner = ownerOf(caller);
  const url = new URL(request.url);
  const name = fileName(url.searchParams.get("filename"));
  const content_type = declaredType(request.headers.get("content-type"));
  const size = declaredLength(request);
  const body = request.body as ReadableStream<Uint8Array>;
  const head = await readHead(body, Math.min(size, sniffedBytes));
  refuseOtherType(content_type, head);
  const id = uuidv7(Date.now());
  const entry: Entry = { id, key: spellKey(owner, id, name), name, size, content_type };
  await reserve(env.R2_UPLOADS, owner, caller.role, entry);
  return store(env.R2_UPLOADS, owner, entry, { head, body, size }, optionsOf(owner, entry, url.pathname));
}
