import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { QUOTAS } from "../../shared/src/contract.gen";
import { guest, user } from "../../shared/src/testing/callers";
import type { Env } from "./env.gen";
import { openMs, partBytes } from "./open";

const bucket = (env as unknown as Env).R2_UPLOADS;
const service = "https://service";

let people = 0;
const somebody = () => `parts${people++}@example.test`;

interface Upload {
  readonly id: string;
  readonly status: string;
  readonly key: string;
  readonly part_bytes: number;
  readonly part_count: number;
  readonly parts: readonly { part: number; size: number; etag: string }[];
  readonly expires_at: string;
}

type Who = Record<string, string>;
const answerOf = async <T>(response: Response): Promise<T> => {
  expect(response.status).toBe(200);
  return response.json();
};
const refusal = async (response: Response) => [response.status, ((await response.json()) as { error: string }).error];

const begin = (who: Who, body: object, headers: Who = {}) =>
  SELF.fetch(`${service}/api/uploads`, { method: "POST", headers: { ...who, ...headers }, body: JSON.stringify(body) });
const create = async (who: Who, body: object, headers: Who = {}) => answerOf<Upload>(await begin(who, body, headers));
const show = (who: Who, id: string) => SELF.fetch(`${service}/api/uploads/${id}`, { headers: who });
const abort = (who: Who, id: string) => SELF.fetch(`${service}/api/uploads/${id}`, { method: "DELETE", headers: who });
const complete = (who: Who, id: string) => SELF.fetch(`${service}/api/uploads/${id}/complete`, { method: "POST", headers: who });

function put(who: Who, id: string, part: number | string, body: Uint8Array<ArrayBuffer>, length = body.byteLength): Promise<Response> {
  const headers = { ...who, "content-length": String(length) };
  const stream = new ReadableStream({
    type: "bytes",
    start: (controller) => {
      controller.enqueue(body.slice());
      controller.close();
    },
  });
  return SELF.fetch(`${service}/api/uploads/${id}/parts/${part}`, { method: "PUT", headers, body: stream });
}

const listed = async (who: Who) =>
  (await answerOf<{ items: { key: string; size: number }[] }>(await SELF.fetch(`${service}/api/files`, { headers: who }))).items;
const openOf = async (who: Who) =>
  (await answerOf<{ items: Upload[] }>(await SELF.fetch(`${service}/api/uploads`, { headers: who }))).items;

async function kept(email: string): Promise<string[]> {
  const { objects } = await bucket.list();
  return objects.map(({ key }) => key).filter((key) => key.includes(`/${email}/`));
}

const bytesOf = (size: number, from = 0) => new Uint8Array(size).map((_, i) => ((i + from) * 31 + ((i + from) >> 9)) % 251);
const twoParts = partBytes + 1000;

/** Makes a record as old as it would have to be to be gone. */
async function age(email: string, id: string): Promise<void> {
  const record = await bucket.head(`tmp/open/${email}/${id}`);
  await bucket.put(`tmp/open/${email}/${id}`, "", {
    customMetadata: { ...record?.customMetadata, started_ms: String(Date.now() - openMs - 1) },
  });
}

describe("an upload in parts", () => {
  it("is seen when it is complete, and not before, whatever order its parts came in", async () => {
    const email = somebody();
    const who = user(email);
    const begun = await create(who, { filename: "big.bin", size: twoParts });
    expect(begun).toMatchObject({
      ok: true,
      status: "open",
      name: "big.bin",
      size: twoParts,
      content_type: "application/octet-stream",
      part_bytes: partBytes,
      part_count: 2,
      parts: [],
    });
    expect(await answerOf(await put(who, begun.id, 2, bytesOf(1000, partBytes)))).toEqual({
      ok: true,
      part: 2,
      size: 1000,
      etag: expect.any(String),
    });
    expect(await refusal(await complete(who, begun.id))).toEqual([409, "parts_missing"]);
    await answerOf(await put(who, begun.id, 1, bytesOf(partBytes)));
    expect((await answerOf<Upload>(await show(who, begun.id))).parts.map(({ part, size }) => [part, size])).toEqual([
      [1, partBytes],
      [2, 1000],
    ]);
    expect([await listed(who), await bucket.head(begun.key), (await openOf(who)).map(({ id }) => id)]).toEqual([[], null, [begun.id]]);

    const done = await answerOf<{ key: string; etag: string }>(await complete(who, begun.id));
    expect(done).toMatchObject({ ok: true, key: begun.key, size: twoParts });
    const stored = await bucket.get(done.key);
    expect(await crypto.subtle.digest("SHA-256", (await stored?.arrayBuffer()) as ArrayBuffer)).toEqual(
      await crypto.subtle.digest("SHA-256", bytesOf(twoParts)),
    );
    expect(stored?.customMetadata).toEqual({ uploader: email, route: "/api/uploads", original_filename: "big.bin" });
    expect([await listed(who), await openOf(who)]).toMatchObject([[{ key: done.key, size: twoParts }], []]);
    expect((await kept(email)).filter((key) => key.startsWith("tmp/parts/"))).toEqual([]);

    expect(await answerOf(await complete(who, begun.id))).toEqual(done);
    expect(await refusal(await put(who, begun.id, 1, bytesOf(partBytes)))).toEqual([409, "upload_complete"]);
    expect(await refusal(await abort(who, begun.id))).toEqual([409, "upload_complete"]);
  });

  it("is gone on with where it was cut off: a part that is cut off is not there, one sent again is there once", async () => {
    const who = user(somebody());
    const { id } = await create(who, { filename: "a", size: twoParts });
    expect(await refusal(await put(who, id, 1, bytesOf(700_000), partBytes))).toEqual([400, "upload_incomplete"]);
    expect((await answerOf<Upload>(await show(who, id))).parts).toEqual([]);
    await answerOf(await put(who, id, 1, bytesOf(partBytes, 7)));
    await answerOf(await put(who, id, 1, bytesOf(partBytes)));
    await answerOf(await put(who, id, 2, bytesOf(1000, partBytes)));
    const { key } = await answerOf<{ key: string }>(await complete(who, id));
    expect(new Uint8Array((await (await bucket.get(key))?.arrayBuffer()) as ArrayBuffer).slice(0, 100)).toEqual(bytesOf(100));
  });

  it("that is completed by a call that did not come to its end is completed by the next", async () => {
    const email = somebody();
    const { id, key } = await create(user(email), { filename: "a", size: 10 });
    const { etag } = await answerOf<{ etag: string }>(await put(user(email), id, 1, bytesOf(10)));
    const uploadId = (await bucket.head(`tmp/open/${email}/${id}`))?.customMetadata?.upload_id as string;
    await bucket.resumeMultipartUpload(key, uploadId).complete([{ partNumber: 1, etag }]);
    expect(await listed(user(email))).toEqual([]);
    expect(await answerOf(await complete(user(email), id))).toMatchObject({ key, size: 10 });
    expect(await listed(user(email))).toMatchObject([{ key, size: 10 }]);
  });

  it("is one upload for one Idempotency-Key, also when it is begun many times at once", async () => {
    const email = somebody();
    const key = { "idempotency-key": "k1" };
    const asked = { filename: "a", size: 10 };
    const begun = await Promise.all(Array.from({ length: 6 }, () => create(user(email), asked, key)));
    expect(new Set(begun.map(({ id, key }) => `${id} ${key}`)).size).toBe(1);
    expect(await openOf(user(email))).toHaveLength(1);
    expect(await refusal(await begin(user(email), { filename: "b", size: 10 }, key))).toEqual([409, "idempotency_key_reused"]);
    expect((await create(user(somebody()), asked, key)).id).not.toBe(begun[0]?.id);
  });

  it("is given up with its parts and its room", async () => {
    const email = somebody();
    const { id, key } = await create(user(email), { filename: "a", size: twoParts });
    await answerOf(await put(user(email), id, 2, bytesOf(1000)));
    const uploadId = (await bucket.head(`tmp/open/${email}/${id}`))?.customMetadata?.upload_id as string;
    expect(await answerOf(await abort(user(email), id))).toEqual({ ok: true, id });
    expect(await kept(email)).toEqual([]);
    await expect(bucket.resumeMultipartUpload(key, uploadId).uploadPart(1, "x")).rejects.toThrow("10024");
    expect(await refusal(await abort(user(email), id))).toEqual([404, "upload_not_found"]);
  });

  it("that nobody finished is gone after a day, and its room is free", async () => {
    const email = somebody();
    const { id } = await create(user(email), { filename: "a", size: QUOTAS.uploads.user });
    expect(await refusal(await begin(user(email), { filename: "b", size: 1 }))).toEqual([413, "quota_exceeded"]);
    await age(email, id);
    expect(await openOf(user(email))).toEqual([]);
    await create(user(email), { filename: "b", size: QUOTAS.uploads.user });
    expect(await refusal(await show(user(email), id))).toEqual([404, "upload_not_found"]);
    expect(await kept(email)).toHaveLength(1);
  });

  it("takes its room in the quota when it begins, and no room beside its file's when it is complete", async () => {
    const who = user(somebody());
    expect(await refusal(await begin(who, { filename: "a", size: QUOTAS.uploads.user + 1 }))).toEqual([413, "quota_exceeded"]);
    expect(await openOf(who)).toEqual([]);
    const { id } = await create(who, { filename: "a", size: 200_000 });
    await answerOf(await put(who, id, 1, bytesOf(200_000)));
    await answerOf(await complete(who, id));
    await create(who, { filename: "b", size: QUOTAS.uploads.user - 200_000 });
    const small = SELF.fetch(`${service}/api/files?filename=c`, { method: "POST", headers: { ...who, "content-length": "1" }, body: "c" });
    expect(await refusal(await small)).toEqual([413, "quota_exceeded"]);
  });

  it("of guests never passes their quota, however many are begun at once", async () => {
    const each = Math.ceil(QUOTAS.uploads.guest / 3);
    const begun = await Promise.all(Array.from({ length: 6 }, () => begin(guest, { filename: "a", size: each })));
    await Promise.all(begun.map((answer) => answer.arrayBuffer()));
    expect(begun.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(2);
  });

  it("of another is not found, and nor is one that never was", async () => {
    const { id } = await create(user(somebody()), { filename: "a", size: 10 });
    const thief = user("thief@example.test");
    for (const at of [id, id.toUpperCase(), crypto.randomUUID(), "..", "x"]) {
      for (const answer of [show(thief, at), abort(thief, at), complete(thief, at), put(thief, at, 1, bytesOf(10))]) {
        expect((await answer).status).toBe(404);
      }
    }
  });

  it.each([
    [{ size: 10 }, 400, "missing_filename"],
    [{ filename: "../a", size: 10 }, 400, "invalid_filename"],
    [{ filename: "a\u0000", size: 10 }, 400, "invalid_filename"],
    [{ filename: "a\u202eb", size: 10 }, 400, "invalid_filename"],
    [{ filename: 7, size: 10 }, 400, "missing_filename"],
    [{ filename: "a" }, 400, "invalid_size"],
    [{ filename: "a", size: 0 }, 400, "invalid_size"],
    [{ filename: "a", size: -1 }, 400, "invalid_size"],
    [{ filename: "a", size: 1.5 }, 400, "invalid_size"],
    [{ filename: "a", size: 1e300 }, 400, "invalid_size"],
    [{ filename: "a", size: "10" }, 400, "invalid_size"],
    [{ filename: "a", size: 10, content_type: "png" }, 400, "invalid_content_type"],
    [{ filename: "a", size: 10, content_type: 7 }, 400, "invalid_content_type"],
  ])("of %j is refused, and nothing stays", async (body, status, error) => {
    const email = somebody();
    expect(await refusal(await begin(user(email), body))).toEqual([status, error]);
    expect(await kept(email)).toEqual([]);
  });

  it("takes parts of their own sizes and numbers alone, and a first part that begins as its type does", async () => {
    const who = user(somebody());
    const { id } = await create(who, { filename: "a.png", size: twoParts, content_type: "image/png" });
    for (const number of ["0", "3", "-1", "1.5", "1e0", "x"]) {
      expect(await refusal(await put(who, id, number, bytesOf(10)))).toEqual([400, "invalid_part"]);
    }
    expect(await refusal(await put(who, id, 1, bytesOf(1000)))).toEqual([400, "wrong_part_size"]);
    expect(await refusal(await put(who, id, 2, bytesOf(999)))).toEqual([400, "wrong_part_size"]);
    expect(await refusal(await put(who, id, 1, bytesOf(partBytes)))).toEqual([415, "content_type_mismatch"]);
    expect((await answerOf<Upload>(await show(who, id))).parts).toEqual([]);
  });
});
