import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { decideRead, type Verdict } from "./conditions";
import type { Env } from "./env.gen";
import { attachment } from "./name";
import { findOwn, ownerOf } from "./owner";
import { anyType } from "./sniff";

/** Gives a file back, or the part of it that is asked for, as it comes from the bucket. */
export async function download({ request, env, params, caller }: Call<Env>): Promise<Response> {
  return serve(env.R2_UPLOADS, request, await findOwn(env.R2_UPLOADS, ownerOf(caller), params.key as string));
}

/** Answers a read of a file that the caller may read. */
export async function serve(bucket: R2Bucket, request: Request, found: R2Object): Promise<Response> {
  const asked = { headers: request.headers, etag: found.httpEtag, size: found.size, uploaded: found.uploaded.getTime() };
  const verdict = decideRead(asked);
  if (verdict.status === 412) {
    throw new Problem(412, "precondition_failed");
  }
  if (verdict.status === 416) {
    throw new Problem(416, "range_not_satisfiable", undefined, { headers: { "content-range": `bytes */${found.size}` } });
  }
  const headers = headersOf(found, verdict);
  if (verdict.status === 304 || request.method === "HEAD") {
    return new Response(null, { status: verdict.status, headers });
  }
  return new Response(await bytesOf(bucket, found, verdict), { status: verdict.status, headers });
}

/** A file that was deleted or replaced since it was found is not mixed with the one that was found. */
async function bytesOf(bucket: R2Bucket, found: R2Object, verdict: Verdict): Promise<ReadableStream> {
  const range = verdict.status === 206 ? { range: verdict.span } : {};
  const object = await bucket.get(found.key, { onlyIf: { etagMatches: found.etag }, ...range });
  if (object === null || !("body" in object)) {
    throw new Problem(404, "file_not_found");
  }
  return object.body;
}

/** What users send is shown by nobody as a page of ours: it is saved, never sniffed, and runs nothing. */
function headersOf(found: R2Object, verdict: Verdict): Record<string, string> {
  const headers: Record<string, string> = {
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
    etag: found.httpEtag,
    "last-modified": found.uploaded.toUTCString(),
  };
  if (verdict.status === 304) {
    return headers;
  }
  if (verdict.status === 206) {
    const { offset, length } = verdict.span;
    headers["content-range"] = `bytes ${offset}-${offset + length - 1}/${found.size}`;
  }
  return {
    ...headers,
    "content-disposition": attachment(found.customMetadata?.original_filename ?? "file"),
    "content-length": String(verdict.status === 206 ? verdict.span.length : found.size),
    "content-security-policy": "sandbox; default-src 'none'",
    "content-type": found.httpMetadata?.contentType ?? anyType,
    "x-content-type-options": "nosniff",
  };
}
