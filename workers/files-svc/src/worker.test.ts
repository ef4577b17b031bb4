import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { PATHS, QUOTAS } from "../../shared/src/contract.gen";
import { admin, guest, user } from "../../shared/src/testing/callers";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import { bytesOf } from "../../shared/src/testing/sounds";
import type { Env } from "./env.gen";

const bucket = (env as unknown as Env).R2_UPLOADS;

describeEveryWorker("files-svc");

let people = 0;
/** A user of whom nothing is stored yet. */
const somebody = () => `ada${people++}@example.test`;

const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
const digits = bytesOf("0123456789");

interface Stored {
  readonly ok: true;
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly version: string;
  readonly content_type: string;
}

interface Given {
  readonly who: Record<string, string>;
  readonly name?: string;
  readonly type?: string;
  readonly path?: string;
}

function send(body: Uint8Array<ArrayBuffer>, { who, name = "notes.bin", type, path = "/api/files" }: Given): Promise<Response> {
  const url = new URL(`https://service${path}`);
  url.searchParams.set("filename", name);
  return SELF.fetch(url, {
    method: "POST",
    headers: { ...who, "content-length": String(body.byteLength), ...(type === undefined ? {} : { "content-type": type }) },
    body,
  });
}

async function put(body: Uint8Array<ArrayBuffer>, given: Given): Promise<Stored> {
  const response = await send(body, given);
  expect(response.status).toBe(200);
  return response.json();
}

const at = (key: string) => `https://service/api/files/${encodeURIComponent(key)}`;
const get = (key: string, headers: Record<string, string>, method = "GET") => SELF.fetch(at(key), { method, headers });

async function listed(who: Record<string, string>, query = ""): Promise<{ items: { key: string }[]; next_cursor: string | null }> {
  const response = await SELF.fetch(`https://service/api/files${query}`, { headers: who });
  expect(response.status).toBe(200);
  return response.json();
}

/** A body of which the runtime does not know the length. */
function stream(...chunks: Uint8Array[]): ReadableStream {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(chunk.slice());
      }
      controller.close();
    },
  });
}

/** Everything in the bucket that is of one user: files, and entries of the index. */
async function kept(email: string): Promise<string[]> {
  const { objects } = await bucket.list();
  return objects.map(({ key }) => key).filter((key) => key.includes(`/${email}/`));
}

async function refusal(response: Response | Promise<Response>) {
  const answered = await response;
  return [answered.status, ((await answered.json()) as { error: string }).error];
}

describe("an upload", () => {
  it.each(["/api/upload/direct", "/api/files"])(
    "on %s is stored as the contract spells it, and answered as old clients read it",
    async (path) => {
      const email = somebody();
      const stored = await put(png, { who: user(email), name: "Größe 1.png", type: "image/png", path });
      expect(stored).toEqual({
        ok: true,
        key: expect.stringMatching(new RegExp(`^uploads/\\d{4}/\\d\\d/\\d\\d/${email}/[0-9a-f-]{36}-Größe 1\\.png$`)),
        size: png.byteLength,
        etag: expect.stringMatching(/^[0-9a-f]{32}$/),
        version: expect.any(String),
        content_type: "image/png",
      });
      const object = await bucket.head(stored.key);
      expect(object?.customMetadata).toEqual({ uploader: email, route: path, original_filename: "Größe 1.png" });
      expect(object?.httpMetadata?.contentType).toBe("image/png");
    },
  );

  it("of a megabyte comes back byte for byte", async () => {
    const who = user(somebody());
    const bytes = new Uint8Array(1_000_003).map((_, i) => (i * 31) % 251);
    const { key, size } = await put(bytes, { who });
    expect(size).toBe(bytes.byteLength);
    expect(new Uint8Array(await (await get(key, who)).arrayBuffer())).toEqual(bytes);
  });

  it.each([
    ["..", "invalid_filename"],
    [".", "invalid_filename"],
    ["../../etc/passwd", "invalid_filename"],
    ["a\\b", "invalid_filename"],
    ["a\u0000.png", "invalid_filename"],
    ["a\nb", "invalid_filename"],
    ["invoice\u202egnp.exe", "invalid_filename"],
    ["zero\u200bwidth", "invalid_filename"],
    [" space", "invalid_filename"],
    ["é".repeat(128), "invalid_filename"],
    ["", "missing_filename"],
  ])("named %j is refused, and nothing is stored", async (name, error) => {
    const email = somebody();
    expect(await refusal(send(png, { who: user(email), name }))).toEqual([400, error]);
    expect(await kept(email)).toEqual([]);
  });

  it("with a name that is not UTF-8 is refused", async () => {
    const url = "https://service/api/files?filename=%ff%fe";
    const response = SELF.fetch(url, { method: "POST", headers: { ...user(somebody()), "content-length": "3" }, body: "abc" });
    expect(await refusal(response)).toEqual([400, "invalid_filename"]);
  });

  it.each([
    ["image/png", digits],
    ["application/pdf", png],
    ["text/html", png],
    ["text/plain", new Uint8Array([65, 0, 66])],
    ["image/jpeg", png],
    ["application/zip", digits],
    ["audio/mpeg", png],
    ["audio/mpeg", bytesOf("ID3 is how an MP3 begins")],
    ["audio/flac", bytesOf("OggS")],
    ["text/plain", bytesOf("fLaC")],
    ["image/jpeg", new Uint8Array([0xff, 0xfb, 0x90, 0x64])],
  ])("that is said to be %s and is not is refused, and nothing is stored", async (type, body) => {
    const email = somebody();
    expect(await refusal(send(body, { who: user(email), type }))).toEqual([415, "content_type_mismatch"]);
    expect(await kept(email)).toEqual([]);
  });

  it.each([
    ["text/plain; charset=utf-8", "text/plain", digits],
    ["application/octet-stream", "application/octet-stream", png],
    ["application/vnd.openxmlformats-officedocument.wordprocessingml.document", undefined, new Uint8Array([0x50, 0x4b, 3, 4, 0])],
    ["application/vnd.ms-excel", undefined, digits],
    ["text/plain", undefined, bytesOf("ID3 is how an MP3 begins")],
    ["audio/mpeg", undefined, new Uint8Array([0xff, 0xfb, 0x90, 0x64])],
    ["audio/mp3", undefined, new Uint8Array([...bytesOf("ID3"), 4, 0])],
    ["audio/flac", undefined, bytesOf("fLaC")],
    ["audio/m4a", undefined, new Uint8Array([0, 0, 0, 0x20, ...bytesOf("ftypM4A ")])],
  ])("of %s is what it says", async (type, content_type, body) => {
    expect(await put(body, { who: user(somebody()), type })).toMatchObject({ content_type: content_type ?? type });
  });

  it.each([
    ["without a length", undefined, 411, "length_required"],
    ["of no length", "0", 400, "empty_file"],
  ])("%s is refused", async (_, length, status, error) => {
    const headers = { ...user(somebody()), ...(length === undefined ? {} : { "content-length": length }) };
    const body = length === undefined ? stream(digits) : null;
    expect(await refusal(SELF.fetch("https://service/api/files?filename=a", { method: "POST", headers, body }))).toEqual([status, error]);
  });

  it.each([
    ["ends early", [digits], 5_000_000, 400, "upload_incomplete"],
    ["ends after its beginning", [new Uint8Array(700_000)], 1_000_000, 400, "upload_incomplete"],
    ["goes on too long, which HTTP does not let through", [new Uint8Array(700_000)], 600_000, 400, "upload_incomplete"],
  ] as const)("that %s leaves nothing", async (_, chunks, length, status, error) => {
    const email = somebody();
    const body = stream(...chunks);
    const headers = { ...user(email), "content-length": String(length) };
    const response = SELF.fetch("https://service/api/files?filename=a", { method: "POST", headers, body });
    expect(await refusal(response)).toEqual([status, error]);
    expect(await kept(email)).toEqual([]);
    expect((await listed(user(email))).items).toEqual([]);
  });
});

describe("a download", () => {
  const who = user("reader@example.test");
  const read = async (headers: Record<string, string>, method = "GET") => {
    const { key, etag } = await put(digits, { who, name: "d.txt", type: "text/plain" });
    const spelt = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace("ETAG", `"${etag}"`)]));
    return get(key, { ...who, ...spelt }, method);
  };
  const past = "Sat, 01 Jan 2000 00:00:00 GMT";
  const future = "Fri, 01 Jan 2100 00:00:00 GMT";

  it("is saved by browsers, never shown", async () => {
    const response = await read({});
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "accept-ranges": "bytes",
      "content-disposition": "attachment; filename=\"d.txt\"; filename*=UTF-8''d.txt",
      "content-length": "10",
      "content-security-policy": "sandbox; default-src 'none'",
      "content-type": "text/plain",
      "x-content-type-options": "nosniff",
    });
    expect(await response.text()).toBe("0123456789");
  });

  it("of HEAD has the headers alone", async () => {
    const response = await read({}, "HEAD");
    expect([response.status, response.headers.get("content-length"), await response.text()]).toEqual([200, "10", ""]);
  });

  it.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=4-", 206, "456789", "bytes 4-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=8-99", 206, "89", "bytes 8-9/10"],
    ["bytes=5-4", 200, "0123456789", null],
    ["bytes=0-1,3-4", 200, "0123456789", null],
    ["lines=0-1", 200, "0123456789", null],
    ["bytes=-", 200, "0123456789", null],
  ])("of %s is %d", async (range, status, text, contentRange) => {
    const response = await read({ range });
    expect([response.status, await response.text(), response.headers.get("content-range")]).toEqual([status, text, contentRange]);
  });

  it.each(["bytes=10-", "bytes=10-20", "bytes=-0"])("of %s is out of bounds", async (range) => {
    const response = await read({ range });
    expect(response.headers.get("content-range")).toBe("bytes */10");
    expect(await refusal(response)).toEqual([416, "range_not_satisfiable"]);
  });

  it.each([
    [{ "if-none-match": "ETAG" }, 304],
    [{ "if-none-match": 'W/ETAG, "x"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"other"' }, 200],
    [{ "if-none-match": '"other"', "if-modified-since": future }, 200],
    [{ "if-modified-since": future }, 304],
    [{ "if-modified-since": past }, 200],
    [{ "if-match": "ETAG" }, 200],
    [{ "if-match": "*" }, 200],
    [{ "if-match": '"other"' }, 412],
    [{ "if-match": "W/ETAG" }, 412],
    [{ "if-unmodified-since": past }, 412],
    [{ "if-unmodified-since": future }, 200],
    [{ range: "bytes=0-0", "if-range": "ETAG" }, 206],
    [{ range: "bytes=0-0", "if-range": '"other"' }, 200],
    [{ range: "bytes=0-0", "if-range": past }, 200],
    [{ range: "bytes=99-", "if-none-match": "ETAG" }, 304],
  ])("under %j is %d", async (headers, status) => {
    const response = await read(headers as Record<string, string>);
    await response.arrayBuffer();
    expect(response.status).toBe(status);
  });
});

describe("what is another's", () => {
  it.each(["GET", "HEAD", "DELETE"])("is refused to %s alike whether it is there or not", async (method) => {
    const email = somebody();
    const { key } = await put(digits, { who: user(email) });
    const missing = key.replace(/[0-9a-f]{12}-notes/, "000000000000-notes");
    expect(missing).not.toBe(key);
    const thief = user("thief@example.test");
    const [there, gone] = await Promise.all([get(key, thief, method), get(missing, thief, method)]);
    expect([there.status, await there.text()]).toEqual([403, await gone.text()]);
    expect(gone.status).toBe(403);
    expect([...there.headers.keys()].filter((name) => name !== "server-timing")).toEqual(
      [...gone.headers.keys()].filter((name) => name !== "server-timing"),
    );
    expect(await bucket.head(key)).not.toBeNull();
  });

  it.each(["uploads/../x", "index/x", "", "jobs/1/a", "%2e%2e"])("is any other key: %s", async (key) => {
    const response = await get(key === "" ? " " : key, user(somebody()));
    expect(response.status).toBe(403);
    await response.arrayBuffer();
  });

  it("is not in a list, and cannot be got at by a name that is spelt alike", async () => {
    const email = somebody();
    await put(digits, { who: user(`${email}/`) });
    await put(digits, { who: user(`${email}:x`) });
    expect((await listed(user(email))).items).toEqual([]);
  });

  it("is the operator's to read who acts for its owner", async () => {
    const email = somebody();
    const { key } = await put(digits, { who: user(email) });
    expect(await (await get(key, admin(email))).text()).toBe("0123456789");
    expect(await refusal(get(key, admin()))).toEqual([400, "missing_email"]);
  });

  it("is what the platform before stored for its uploader, however it spelt the owner", async () => {
    const email = somebody();
    const key = `uploads/2025/03/04/${email.replace(/\W/g, "_")}/0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11-old.txt`;
    await bucket.put(key, "old", { customMetadata: { uploader: email, route: "/api/upload/direct", original_filename: "old.txt" } });
    expect(await (await get(key, user(email))).text()).toBe("old");
    expect((await get(key, user("thief@example.test"))).status).toBe(403);
    expect((await get(key, user(email), "DELETE")).status).toBe(200);
    expect(await bucket.head(key)).toBeNull();
  });
});

describe("an account's files", () => {
  it("are listed newest first, a page at a time", async () => {
    const who = user(somebody());
    const keys: string[] = [];
    for (let i = 0; i < 3; i++) {
      keys.unshift((await put(digits, { who, name: `${i}.txt`, type: "text/plain" })).key);
      await scheduler.wait(2); // ids order by the millisecond
    }
    const first = await listed(who, "?limit=2");
    const second = await listed(who, `?limit=2&cursor=${first.next_cursor}`);
    expect([...first.items, ...second.items].map(({ key }) => key)).toEqual(keys);
    expect(second.next_cursor).toBeNull();
    expect(first.items[0]).toMatchObject({ name: "2.txt", size: 10, content_type: "text/plain", created_at: expect.any(String) });
    expect(await refusal(SELF.fetch(`https://service/api/files?cursor=${first.next_cursor}`, { headers: user(somebody()) }))).toEqual([
      400,
      "invalid_cursor",
    ]);
  });

  it("are deleted with their entries", async () => {
    const email = somebody();
    const { key } = await put(digits, { who: user(email) });
    expect(await (await get(key, user(email), "DELETE")).json()).toEqual({ ok: true, key });
    expect(await kept(email)).toEqual([]);
    expect(await refusal(get(key, user(email), "DELETE"))).toEqual([404, "file_not_found"]);
    expect(await refusal(get(key, user(email)))).toEqual([404, "file_not_found"]);
  });

  it("lose an entry whose file is gone when the file is deleted again", async () => {
    const email = somebody();
    const { key } = await put(digits, { who: user(email) });
    await bucket.delete(key);
    expect((await get(key, user(email), "DELETE")).status).toBe(404);
    expect(await kept(email)).toEqual([]);
  });
});

describe("the quota", () => {
  /** Fills an account, with an entry that is of a file somewhere. */
  const fill = (email: string, size: number, state = "stored") =>
    bucket.put(`index/${email}/2gs00000000-0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11`, "", {
      customMetadata: { key: "uploads/x", name: "x", content_type: "a/b", size: String(size), state },
    });

  it("is kept to the byte, and a refused file leaves nothing", async () => {
    const email = somebody();
    const body = new Uint8Array(200_000);
    await fill(email, QUOTAS.uploads.user - body.byteLength + 1);
    expect(await refusal(send(body, { who: user(email) }))).toEqual([413, "quota_exceeded"]);
    expect(await kept(email)).toHaveLength(1);
    await fill(email, QUOTAS.uploads.user - body.byteLength);
    await put(body, { who: user(email) });
  });

  it("counts what is still on its way", async () => {
    const email = somebody();
    await fill(email, QUOTAS.uploads.user, "pending");
    expect(await refusal(send(digits, { who: user(email) }))).toEqual([413, "quota_exceeded"]);
    expect((await listed(user(email))).items).toEqual([]);
  });

  it("is smaller for guests, and holds for uploads that come together", async () => {
    expect(QUOTAS.uploads.guest).toBeLessThan(QUOTAS.uploads.user);
    const room = 3;
    await bucket.put("index/guest=3A0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11/2gs00000000-0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11", "", {
      customMetadata: {
        key: "uploads/x",
        name: "x",
        content_type: "a/b",
        size: String(QUOTAS.uploads.guest - room * 131_072),
        state: "stored",
      },
    });
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(digits, { who: guest })));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    const taken = answers.filter(({ status }) => status === 200).length;
    expect(taken).toBeLessThanOrEqual(room);
    expect((await listed(guest)).items).toHaveLength(taken + 1);
  });

  it("is within what the gateway lets through for every role", () => {
    expect(PATHS["/api/upload/direct"].maxBody).toBe(10_485_760);
    expect(PATHS["/api/files"].streams && PATHS["/api/upload/direct"].streams).toBe(true);
  });
});
