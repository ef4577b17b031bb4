import { invalidCursor, readCursor, spellCursor } from "../../shared/src/cursor";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { findOwn, indexKey, indexPrefix, ownerOf, ownId } from "./owner";
import { entryOf, release } from "./register";

const defaultLimit = 25;
const maxLimit = 100;

/** The newest files of an account first, a page at a time. */
export async function listFiles({ request, env, caller }: Call<Env>): Promise<Response> {
  const owner = ownerOf(caller);
  const prefix = indexPrefix(owner);
  const query = new URL(request.url).searchParams;
  const limit = readLimit(query.get("limit"));
  const given = query.get("cursor");
  const cursor = given === null ? undefined : await readCursor(prefix, given);
  const page = await listPage(env.R2_UPLOADS, { prefix, limit, include: ["customMetadata"], ...(cursor === undefined ? {} : { cursor }) });
  const items = page.objects.flatMap((object) => {
    const entry = object.customMetadata?.state === "stored" ? entryOf(object) : undefined;
    return entry === undefined ? [] : [{ ...entry, created_at: object.uploaded.toISOString() }];
  });
  const next_cursor = page.truncated ? await spellCursor(prefix, page.cursor) : null;
  return json({ email: owner.id, items, next_cursor });
}

function readLimit(text: string | null): number {
  const limit = text === null ? defaultLimit : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit || text === "") {
    throw new Problem(400, "invalid_limit", `limit is not a whole number from 1 to ${maxLimit}.`);
  }
  return limit;
}

async function listPage(bucket: R2Bucket, options: R2ListOptions): Promise<R2Objects> {
  try {
    return await bucket.list(options);
  } catch (error) {
    throw options.cursor === undefined ? new Problem(503, "files_unavailable", undefined, { cause: error }) : invalidCursor(error);
  }
}

/** Deletes a file and its entry. An entry whose file is gone goes too, so that a delete that was cut short is finished by the next. */
export async function removeFile({ env, params, caller }: Call<Env>): Promise<Response> {
  const owner = ownerOf(caller);
  const given = params.key as string;
  const id = ownId(owner, given);
  try {
    await findOwn(env.R2_UPLOADS, owner, given);
  } catch (error) {
    if (id !== undefined && error instanceof Problem && error.status === 404) {
      await release(env.R2_UPLOADS, owner, id);
    }
    throw error;
  }
  await env.R2_UPLOADS.delete(id === undefined ? [given] : [given, indexKey(owner, id)]);
  return json({ ok: true, key: given });
}
