import { type JsonObject, requiredText } from "../../shared/src/body";
import { AUTH } from "../../shared/src/contract.gen";
import { uuidv7 } from "../../shared/src/ids";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { serve } from "./download";
import type { Env } from "./env.gen";
import { fileName } from "./name";
import { findOwn, type Owner, ownerOf, readKey, spellKey } from "./owner";
import { type Entry, release, reserve, settle } from "./register";
import { type Grant, sign, verify } from "./signature";
import { anyType, declaredType, refuseOtherType, sniffedBytes } from "./sniff";
import { declaredLength, optionsOf, pour, readHead } from "./store";
import { untilDone } from "./upload";

const { defaultLifeS, maxLifeS } = AUTH.signedUrls;

/** Makes a URL for one who has no token: to read one file of the caller's, or to send one. Whoever has it may do that, until it expires. */
export async function signUrl(call: Call<Env>): Promise<Response> {
  const { env, caller } = call;
  const body = await call.json();
  const method = requiredText(body, "method", 20);
  const expires = Math.floor(Date.now() / 1000) + lifeOf(body.expires_in_s);
  if (method !== "GET" && method !== "PUT") {
    throw new Problem(400, "invalid_method", "method is GET or PUT.");
  }
  const owner = ownerOf(caller);
  const grant = method === "GET" ? await grantOfFile(env, owner, body, expires) : grantOfUpload(owner, body, expires);
  const signature = await sign(env, grant);
  const query = new URLSearchParams({ expires: String(expires), ...(grant.type === null ? {} : { type: grant.type }), signature });
  return json({
    ...{ ok: true, method, key: grant.key, path: `/api/signed/${encodeURIComponent(grant.key)}?${query}` },
    ...{ content_type: grant.type, expires_at: new Date(expires * 1000).toISOString() },
  });
}

function lifeOf(given: unknown): number {
  const life = given ?? defaultLifeS;
  if (typeof life !== "number" || !Number.isInteger(life) || life < 1 || life > maxLifeS) {
    throw new Problem(400, "invalid_expires_in_s", `expires_in_s is a whole number of seconds, from 1 to ${maxLifeS}.`);
  }
  return life;
}

async function grantOfFile({ R2_UPLOADS }: Env, owner: Owner, body: JsonObject, expires: number): Promise<Grant> {
  const { key } = await findOwn(R2_UPLOADS, owner, requiredText(body, "key", 1024));
  return { method: "GET", key, expires, type: null };
}

/** The key is chosen now, so that whoever asks for the URL knows what will be stored under it. */
function grantOfUpload(owner: Owner, body: JsonObject, expires: number): Grant {
  const name = fileName(typeof body.filename === "string" ? body.filename : null);
  const type = declaredType(body.content_type === undefined ? anyType : requiredText(body, "content_type", 255));
  return { method: "PUT", key: spellKey(owner, uuidv7(Date.now()), name), expires, type };
}

/** What of a request is signed. It is looked at before anything else: a URL that was changed learns nothing, not even of the file. */
async function granted({ request, env, params }: Call<Env>, method: Grant["method"]): Promise<Grant> {
  const query = new URL(request.url).searchParams;
  const [expires, signature] = [query.get("expires") ?? "", query.get("signature") ?? ""];
  const grant: Grant = { method, key: params.key as string, expires: Number(expires), type: method === "GET" ? null : query.get("type") };
  if (!/^[1-9]\d{9}$/.test(expires) || !(await verify(env, grant, signature))) {
    throw new Problem(403, "signature_invalid", "This URL was not signed so.");
  }
  const leftS = grant.expires - Date.now() / 1000;
  if (leftS <= 0 || leftS > maxLifeS) {
    throw new Problem(403, "url_expired");
  }
  return grant;
}

export async function signedDownload(call: Call<Env>): Promise<Response> {
  const { key } = await granted(call, "GET");
  const found = await call.env.R2_UPLOADS.head(key);
  if (found === null) {
    throw new Problem(404, "file_not_found");
  }
  return serve(call.env.R2_UPLOADS, call.request, found);
}

/** Stores the one file that the URL is for; a second one is refused. It counts as its owner's. */
export async function signedUpload(call: Call<Env>): Promise<Response> {
  const { key, type } = await granted(call, "PUT");
  const { owner, id, name } = readKey(key) as NonNullable<ReturnType<typeof readKey>>; // what we signed, we spelt
  const content_type = declaredType(call.request.headers.get("content-type"));
  if (content_type !== type) {
    throw new Problem(415, "content_type_mismatch", `This URL takes ${type}.`);
  }
  const entry: Entry = { id, key, name, size: declaredLength(call.request), content_type };
  const { etag, version } = await untilDone(call, takeOnce(call, owner, entry));
  return json({ ok: true, key, size: entry.size, etag, version, content_type });
}

async function takeOnce({ request, env }: Call<Env>, owner: Owner, entry: Entry): Promise<R2Object> {
  const bucket = env.R2_UPLOADS;
  if ((await bucket.head(entry.key)) !== null) {
    throw taken();
  }
  const body = request.body as ReadableStream<Uint8Array>;
  const head = await readHead(body, Math.min(entry.size, sniffedBytes));
  refuseOtherType(entry.content_type, head);
  try {
    await reserve(bucket, owner, owner.id.startsWith("guest:") ? "guest" : "user", entry);
    const options = { ...optionsOf(owner, entry, "/api/signed"), onlyIf: { etagDoesNotMatch: "*" } };
    const stored = await pour({ head, body, size: entry.size }, async (readable) => bucket.put(entry.key, readable, options));
    if (stored === null) {
      throw taken();
    }
    await settle(bucket, owner, entry);
    return stored;
  } catch (error) {
    await squareUp(bucket, owner, entry);
    throw error;
  }
}

const taken = () => new Problem(409, "already_uploaded", "A file was sent to this URL before.");

/** Two may use one URL at once, and one of them fails: the entry they share is then of the file that is there, or goes. */
async function squareUp(bucket: R2Bucket, owner: Owner, entry: Entry): Promise<void> {
  const found = await bucket.head(entry.key);
  await (found === null ? release(bucket, owner, entry.id) : settle(bucket, owner, { ...entry, size: found.size }));
}
