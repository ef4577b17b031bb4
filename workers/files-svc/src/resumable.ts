import { requiredText } from "../../shared/src/body";
import { idOf, isUuid, uuidv7 } from "../../shared/src/ids";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { fileName } from "./name";
import * as at from "./open";
import { type Owner, ownerOf, spellKey } from "./owner";
import { type Entry, holdWithin, settle } from "./register";
import { declaredType, refuseOtherType, sniffedBytes } from "./sniff";
import { declaredLength, notStored, optionsOf, pour, readHead } from "./store";
import { untilDone } from "./upload";

const maxIdempotencyKey = 200;

/** Begins an upload in parts. Its whole room in the quota is taken now, so that no upload fails at its end for want of room. */
export async function createUpload(call: Call<Env>): Promise<Response> {
  const owner = ownerOf(call.caller);
  const asked = await readAsked(call);
  const id = await uploadId(owner, call.request.headers.get("idempotency-key"));
  const bucket = call.env.R2_UPLOADS;
  const open = (await at.findOpen(bucket, owner, id)) ?? (await untilDone(call, begin(call, owner, id, asked)));
  const { name, size, content_type } = open.entry;
  if (name !== asked.name || size !== asked.size || content_type !== asked.content_type) {
    throw new Problem(409, "idempotency_key_reused", "This key began the upload of another file.");
  }
  return json(view(open, await at.listParts(bucket, owner, id)));
}

type Asked = Pick<Entry, "name" | "size" | "content_type">;

async function readAsked(call: Call<Env>): Promise<Asked> {
  const body = await call.json();
  const name = fileName(typeof body.filename === "string" ? body.filename : null);
  const type = body.content_type === undefined ? null : requiredText(body, "content_type", 255);
  const { size } = body;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 1) {
    throw new Problem(400, "invalid_size", "size is not the file's length in bytes, of 1 or more.");
  }
  return { name, size, content_type: declaredType(type) };
}

/** One key is one upload, whoever asks and however often; another account's equal key is another. */
async function uploadId(owner: Owner, key: string | null): Promise<string> {
  if (key !== null && (key === "" || key.length > maxIdempotencyKey)) {
    throw new Problem(400, "invalid_idempotency_key", `Idempotency-Key is not of 1 to ${maxIdempotencyKey} characters.`);
  }
  return key === null ? crypto.randomUUID() : idOf("upload", owner.id, key);
}

async function begin({ env, caller, request }: Call<Env>, owner: Owner, id: string, asked: Asked): Promise<at.Open> {
  const bucket = env.R2_UPLOADS;
  const startedMs = Date.now();
  const fileId = uuidv7(startedMs);
  const entry: Entry = { ...asked, id: fileId, key: spellKey(owner, fileId, asked.name) };
  const { uploadId } = await bucket.createMultipartUpload(entry.key, optionsOf(owner, entry, new URL(request.url).pathname));
  const open: at.Open = { id, entry, uploadId, startedMs };
  if ((await at.writeOpen(bucket, owner, open, "new")) === null) {
    await at.abort(bucket, open);
    return wanted(await at.findOpen(bucket, owner, id)); // the one that was first
  }
  await holdWithin(bucket, owner, caller.role, () => at.endOpen(bucket, owner, open));
  return open;
}

function wanted(open: at.Open | undefined): at.Open {
  if (open === undefined) {
    throw new Problem(404, "upload_not_found");
  }
  return open;
}

/** An upload that is nobody's, or another's, is not found: ids are looked for under their owner's name alone. */
async function find({ env, caller, params }: Call<Env>): Promise<{ owner: Owner; open: at.Open }> {
  const owner = ownerOf(caller);
  const id = params.id as string;
  return { owner, open: wanted(isUuid(id) ? await at.findOpen(env.R2_UPLOADS, owner, id.toLowerCase()) : undefined) };
}

function view(open: at.Open, parts: readonly at.Part[]): Record<string, unknown> {
  const { key, name, size, content_type } = open.entry;
  const [created_at, expires_at] = [open.startedMs, open.startedMs + at.openMs].map((ms) => new Date(ms).toISOString());
  const status = open.done === undefined ? "open" : "stored";
  return {
    ok: true,
    id: open.id,
    status,
    key,
    name,
    size,
    content_type,
    part_bytes: at.partBytes,
    part_count: at.partsOf(open),
    parts,
    created_at,
    expires_at,
  };
}

/** Stores one part. A part that is sent again takes the place of the one before; one that is cut off is not there. */
export async function putPart(call: Call<Env>): Promise<Response> {
  const { owner, open } = await find(call);
  const part = Number(call.params.number);
  if (!/^\d{1,5}$/.test(call.params.number as string) || part < 1 || part > at.partsOf(open)) {
    throw new Problem(400, "invalid_part", `A part's number is 1 to ${at.partsOf(open)}.`);
  }
  if (open.done !== undefined) {
    throw new Problem(409, "upload_complete", "The file is whole already.");
  }
  const size = declaredLength(call.request);
  if (size !== at.sizeOfPart(open, part)) {
    throw new Problem(400, "wrong_part_size", `Part ${part} has ${at.sizeOfPart(open, part)} bytes.`);
  }
  const { etag } = await untilDone(call, storePart(call, owner, open, part));
  return json({ ok: true, part, size, etag });
}

async function storePart({ env, request }: Call<Env>, owner: Owner, open: at.Open, part: number): Promise<at.Part> {
  const size = at.sizeOfPart(open, part);
  const body = request.body as ReadableStream<Uint8Array>;
  const head = await readHead(body, Math.min(size, sniffedBytes));
  if (part === 1) {
    refuseOtherType(open.entry.content_type, head);
  }
  const upload = env.R2_UPLOADS.resumeMultipartUpload(open.entry.key, open.uploadId);
  const { etag } = await pour({ head, body, size }, async (readable) => upload.uploadPart(part, readable));
  await at.notePart(env.R2_UPLOADS, owner, open.id, { part, size, etag });
  return { part, size, etag };
}

/** What is there of an upload, so that whoever was cut off goes on with what is not. */
export async function showUpload(call: Call<Env>): Promise<Response> {
  const { owner, open } = await find(call);
  return json(view(open, await at.listParts(call.env.R2_UPLOADS, owner, open.id)));
}

export async function listUploads({ env, caller }: Call<Env>): Promise<Response> {
  const owner = ownerOf(caller);
  const all = await at.listOpen(env.R2_UPLOADS, owner);
  const open = all.filter((one) => one.done === undefined && !at.expired(one, Date.now())).sort((a, b) => b.startedMs - a.startedMs);
  const items = open.map((one) => {
    const { ok: _ok, parts: _parts, ...item } = view(one, []);
    return item;
  });
  return json({ email: owner.id, items });
}

/** Makes the parts one file, and shows it. Asked again, it answers again. */
export async function completeUpload(call: Call<Env>): Promise<Response> {
  const { owner, open } = await find(call);
  const { etag, version } = open.done ?? (await untilDone(call, complete(call.env.R2_UPLOADS, owner, open)));
  const { key, size, content_type } = open.entry;
  return json({ ok: true, key, size, etag, version, content_type });
}

async function complete(bucket: R2Bucket, owner: Owner, open: at.Open): Promise<{ etag: string; version: string }> {
  const object = await joined(bucket, open, await at.listParts(bucket, owner, open.id));
  const done = { etag: object.etag, version: object.version };
  // In this order: at no time is the file neither open nor listed, so that the quota always sees it.
  await settle(bucket, owner, open.entry);
  await at.writeOpen(bucket, owner, { ...open, done }, "again");
  await at.forgetParts(bucket, owner, open.id);
  return done;
}

async function joined(bucket: R2Bucket, open: at.Open, parts: at.Part[]): Promise<R2Object> {
  const { entry, uploadId } = open;
  const missing = at.partsOf(open) - parts.length;
  try {
    if (missing === 0) {
      const named = parts.map(({ part, etag }) => ({ partNumber: part, etag }));
      return await bucket.resumeMultipartUpload(entry.key, uploadId).complete(named);
    }
  } catch (error) {
    if (/\(10025\)/.test(String(error))) {
      throw new Problem(409, "parts_changed", "Two bodies were sent for one part at once: send the parts again.", { cause: error });
    }
    if (!at.isGone(error)) {
      throw notStored(error);
    }
  }
  // It was joined before, by a call that did not come to its end.
  const object = await bucket.head(entry.key);
  if (object === null) {
    throw missing === 0 ? new Problem(404, "upload_not_found") : new Problem(409, "parts_missing", `${missing} parts are not there yet.`);
  }
  return object;
}

/** Gives an upload up: its parts go, and so does the room that it held. */
export async function abortUpload(call: Call<Env>): Promise<Response> {
  const { owner, open } = await find(call);
  if (open.done !== undefined) {
    throw new Problem(409, "upload_complete", "The file is whole already: delete it by its key.");
  }
  await at.endOpen(call.env.R2_UPLOADS, owner, open);
  return json({ ok: true, id: open.id });
}
