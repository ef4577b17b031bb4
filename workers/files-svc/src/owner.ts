import type { Caller } from "../../shared/src/caller";
import { KEYS, key } from "../../shared/src/keys";
import { revTs } from "../../shared/src/money/usage";
import { Problem } from "../../shared/src/problem";

const maxOwnerBytes = 400;

/** Whose files: the caller's own, or those of the user that the admin key acts for. */
export interface Owner {
  readonly id: string;
  /** The id as a part of a key: no two ids are spelt alike. */
  readonly safe: string;
}

export function ownerOf(caller: Caller): Owner {
  if (caller.id === null) {
    throw new Problem(400, "missing_email", "Say whose files: email is not given.");
  }
  const bytes = [...new TextEncoder().encode(caller.id)];
  const safe = bytes.map(spellByte).join("");
  if (!caller.id.isWellFormed() || safe.length > maxOwnerBytes) {
    throw new Problem(400, "invalid_email", "The account's name is too long to keep files under.");
  }
  return { id: caller.id, safe };
}

/** Bytes that mean something in a key, a path or a URL are spelt in hex, and so is the sign that says so. */
function spellByte(byte: number): string {
  const c = String.fromCharCode(byte);
  return /[a-z0-9@._+-]/.test(c) ? c : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

const fileKey = /^uploads\/\d{4}\/\d\d\/\d\d\/([^/]+)\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-([^/]+)$/;

/** The key of a new file. Its id says when it came, and so the key of a file leads to its entry in the index. */
export function spellKey(owner: Owner, id: string, name: string): string {
  const [yyyy, mm, dd] = new Date(timeOf(id)).toISOString().slice(0, 10).split("-") as [string, string, string];
  return key(KEYS.upload, { yyyy, mm, dd, safe_email: owner.safe, uuid: id, name });
}

/** The key of a file's entry in its owner's index. */
export function indexKey(owner: Owner, id: string): string {
  return key(KEYS.upload_index, { safe_email: owner.safe, rev_ts: revTs(timeOf(id)), uuid: id });
}

export function indexPrefix(owner: Owner): string {
  return `index/${owner.safe}/`;
}

/** The id in a key under the owner's own name; undefined for any other key. */
export function ownId(owner: Owner, fileKeyGiven: string): string | undefined {
  const [, safe, id] = fileKey.exec(fileKeyGiven) ?? [];
  return safe === owner.safe ? id : undefined;
}

/** Reads a key of our own spelling back; undefined for any other. */
export function readKey(given: string): { owner: Owner; id: string; name: string } | undefined {
  const [, safe, id, name] = fileKey.exec(given) ?? [];
  if (safe === undefined || id === undefined || name === undefined) {
    return undefined;
  }
  const owner = { id: decodeURIComponent(safe.replace(/[^=]/g, (c) => encodeURIComponent(c)).replaceAll("=", "%")), safe };
  return { owner, id, name };
}

/** Milliseconds are the first 48 bits of an id that orders by time. */
function timeOf(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}

/**
 * Finds a file of the owner's. Of what is another's, nothing is said, not even whether it is there. The platform before this one spelt
 * owners differently: what it stored is found by the uploader that it noted.
 */
export async function findOwn(bucket: R2Bucket, owner: Owner, given: string): Promise<R2Object> {
  const own = ownId(owner, given) !== undefined;
  const object = own || fileKey.test(given) ? await bucket.head(given) : null;
  if (object !== null && object.customMetadata?.uploader === owner.id) {
    return object;
  }
  throw own ? new Problem(404, "file_not_found") : new Problem(403, "forbidden", "This is no file of the caller's.");
}
