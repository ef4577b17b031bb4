import { PATHS } from "../../shared/src/contract.gen";
import { KEYS, key } from "../../shared/src/keys";
import { Problem } from "../../shared/src/problem";
import type { Owner } from "./owner";
import type { Entry } from "./register";

/** How long an upload in parts may take. If nobody comes here again, the bucket's own rules abort the parts, and delete what is under tmp/. */
export const openMs = 86_400_000;

/** All parts but the last have this size: R2 wants them equal, and the gateway lets no more through. */
export const partBytes = PATHS["/api/uploads/:id/parts/:number"].maxBody;

/** An upload in parts. Once it is whole its record stays for a while, so that a completion whose answer was lost can be asked for again. */
export interface Open {
  readonly id: string;
  readonly entry: Entry;
  /** R2's own id. */
  readonly uploadId: string;
  readonly startedMs: number;
  /** Set once it is whole. */
  readonly done?: { readonly etag: string; readonly version: string };
}

export interface Part {
  readonly part: number;
  readonly size: number;
  readonly etag: string;
}

export const partsOf = ({ entry }: Open): number => Math.ceil(entry.size / partBytes);

export function sizeOfPart(open: Open, part: number): number {
  return part < partsOf(open) ? partBytes : open.entry.size - (part - 1) * partBytes;
}

export function openKey(owner: Owner, id: string): string {
  return key(KEYS.upload_open, { safe_email: owner.safe, uuid: id });
}

export const openPrefix = (owner: Owner): string => `tmp/open/${owner.safe}/`;

function partKey(owner: Owner, id: string, part: number): string {
  return key(KEYS.upload_part, { safe_email: owner.safe, uuid: id, number: String(part).padStart(5, "0") });
}

/** Writes the record; of two who begin one upload at once, the second is told null. */
export async function writeOpen(bucket: R2Bucket, owner: Owner, open: Open, how: "new" | "again"): Promise<R2Object | null> {
  const { id, name, size, content_type, key: file } = open.entry;
  const customMetadata: Record<string, string> = {
    ...{ file_id: id, key: file, name, size: String(size), content_type },
    ...{ upload_id: open.uploadId, started_ms: String(open.startedMs), ...open.done },
  };
  return bucket.put(openKey(owner, open.id), "", { customMetadata, ...(how === "new" ? { onlyIf: { etagDoesNotMatch: "*" } } : {}) });
}

export function readOpen({ key: at, customMetadata }: R2Object): Open {
  const m = customMetadata as Readonly<Record<string, string>>;
  const text = (name: string) => m[name] as string;
  return {
    id: at.slice(-36),
    entry: { id: text("file_id"), key: text("key"), name: text("name"), size: Number(m.size), content_type: text("content_type") },
    uploadId: text("upload_id"),
    startedMs: Number(m.started_ms),
    ...(m.etag === undefined ? {} : { done: { etag: m.etag, version: text("version") } }),
  };
}

export const expired = (open: Open, nowMs: number): boolean => nowMs - open.startedMs > openMs;

/** The upload of this id; undefined when there is none, or none any more. */
export async function findOpen(bucket: R2Bucket, owner: Owner, id: string): Promise<Open | undefined> {
  const record = await bucket.head(openKey(owner, id));
  const open = record === null ? undefined : readOpen(record);
  if (open !== undefined && expired(open, Date.now())) {
    await endOpen(bucket, owner, open);
    return undefined;
  }
  return open;
}

/** Every upload of an account that has a record, expired ones too. */
export async function listOpen(bucket: R2Bucket, owner: Owner): Promise<Open[]> {
  return (await listAll(bucket, openPrefix(owner))).map(readOpen);
}

export async function notePart(bucket: R2Bucket, owner: Owner, id: string, { part, size, etag }: Part): Promise<void> {
  await bucket.put(partKey(owner, id, part), "", { customMetadata: { size: String(size), etag } });
}

/** R2 tells a Worker nothing of the parts it has: what was stored is noted beside it, a small object a part. */
export async function listParts(bucket: R2Bucket, owner: Owner, id: string): Promise<Part[]> {
  const records = await listAll(bucket, partKey(owner, id, 0).slice(0, -5));
  return records.map(({ key: at, customMetadata }) => ({
    part: Number(at.slice(-5)),
    size: Number(customMetadata?.size),
    etag: customMetadata?.etag as string,
  }));
}

export async function forgetParts(bucket: R2Bucket, owner: Owner, id: string): Promise<void> {
  const parts = await listParts(bucket, owner, id);
  if (parts.length > 0) {
    await bucket.delete(parts.map(({ part }) => partKey(owner, id, part)));
  }
}

/** Ends an upload, whichever way it stands. The record goes last: what is cut short here is ended by the next. */
export async function endOpen(bucket: R2Bucket, owner: Owner, open: Open): Promise<void> {
  if (open.done === undefined) {
    await abort(bucket, open);
  }
  await forgetParts(bucket, owner, open.id);
  await bucket.delete(openKey(owner, open.id));
}

export async function abort(bucket: R2Bucket, { entry, uploadId }: Open): Promise<void> {
  try {
    await bucket.resumeMultipartUpload(entry.key, uploadId).abort();
  } catch (error) {
    if (!isGone(error)) {
      throw new Problem(503, "files_unavailable", undefined, { cause: error });
    }
  }
}

/** R2's NoSuchUpload: it was aborted or completed already. */
export const isGone = (error: unknown): boolean => error instanceof Error && error.message.includes("(10024)");

async function listAll(bucket: R2Bucket, prefix: string): Promise<R2Object[]> {
  const all: R2Object[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({ prefix, include: ["customMetadata"], ...(cursor === undefined ? {} : { cursor }) });
    all.push(...page.objects);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return all;
}
