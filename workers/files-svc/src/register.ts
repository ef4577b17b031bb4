import type { Role } from "../../shared/src/caller";
import { QUOTAS } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import { endOpen, expired, listOpen } from "./open";
import { indexKey, indexPrefix, type Owner } from "./owner";

/** A file in its owner's index. Until the file is whole the entry holds its room in the quota, and no list shows it. */
export interface Entry {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly content_type: string;
  /** What came with the file in a form. */
  readonly prompt?: string;
}

/** What a file counts at least, so that the number of an account's files has a bound too. */
const leastBytes = 131_072;

/** No upload takes so long: what is still pending then has ended. */
const pendingMs = 3_600_000;

/**
 * Takes room for a file before any of it is stored. Each entry is written before the sum is taken, and R2 shows a write to every list
 * after it: of two uploads at once at least the later sees both, so the quota is never passed.
 */
export async function reserve(bucket: R2Bucket, owner: Owner, role: Role | null, entry: Entry): Promise<void> {
  await write(bucket, owner, entry, "pending");
  await holdWithin(bucket, owner, role, () => release(bucket, owner, entry.id));
}

/** Holds an account that has just taken room within its quota, or gives the room back. */
export async function holdWithin(bucket: R2Bucket, owner: Owner, role: Role | null, giveBack: () => Promise<void>): Promise<void> {
  try {
    const quota = quotaOf(role);
    const used = await usedBytes(bucket, owner, Date.now());
    if (used > quota) {
      throw new Problem(413, "quota_exceeded", `With this file the account would keep ${used} bytes, of ${quota}: delete files first.`);
    }
  } catch (error) {
    await giveBack();
    throw error;
  }
}

/** Shows a file that is stored whole. */
export function settle(bucket: R2Bucket, owner: Owner, entry: Entry): Promise<void> {
  return write(bucket, owner, entry, "stored");
}

export function release(bucket: R2Bucket, owner: Owner, id: string): Promise<void> {
  return bucket.delete(indexKey(owner, id));
}

/** The admin key alone has no role: it acts for a user. */
function quotaOf(role: Role | null): number {
  return QUOTAS.uploads[role ?? "user"];
}

async function write(bucket: R2Bucket, owner: Owner, entry: Entry, state: "pending" | "stored"): Promise<void> {
  const { id, size, ...texts } = entry;
  await bucket.put(indexKey(owner, id), "", { customMetadata: { ...texts, size: String(size), state } });
}

/**
 * Uploads in parts are looked at before files: one that becomes a file meanwhile is then seen at least once, and counted once, by its
 * id. What is too old is ended here.
 */
async function usedBytes(bucket: R2Bucket, owner: Owner, nowMs: number): Promise<number> {
  const sizes = new Map<string, number>();
  for (const open of await listOpen(bucket, owner)) {
    if (expired(open, nowMs)) {
      await endOpen(bucket, owner, open);
    } else if (open.done === undefined) {
      sizes.set(open.entry.id, Math.max(open.entry.size, leastBytes));
    }
  }
  let cursor: string | undefined;
  do {
    const page = await bucket.list({
      prefix: indexPrefix(owner),
      include: ["customMetadata"],
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const object of page.objects) {
      sizes.set(object.key.slice(-36), await counted(bucket, owner, object, nowMs));
    }
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** An upload that died between two writes left an entry that is not true: the bucket says which way it ended. */
async function counted(bucket: R2Bucket, owner: Owner, object: R2Object, nowMs: number): Promise<number> {
  const entry = entryOf(object);
  if (entry === undefined) {
    return 0;
  }
  if (object.customMetadata?.state === "pending" && nowMs - object.uploaded.getTime() > pendingMs) {
    if ((await bucket.head(entry.key)) === null) {
      await release(bucket, owner, entry.id);
      return 0;
    }
    await settle(bucket, owner, entry);
  }
  return Math.max(entry.size, leastBytes);
}

/** Reads an entry as a list of the index has it. */
export function entryOf({ key, customMetadata }: R2Object): Entry | undefined {
  const { key: file, name, size, content_type, prompt } = customMetadata ?? {};
  if (file === undefined || name === undefined || size === undefined || content_type === undefined) {
    return undefined;
  }
  return { id: key.slice(-36), key: file, name, size: Number(size), content_type, ...(prompt === undefined ? {} : { prompt }) };
}
