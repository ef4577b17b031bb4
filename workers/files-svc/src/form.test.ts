import { createExecutionContext, env, SELF, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { user } from "../../shared/src/testing/callers";
import type { Env } from "./env.gen";
import { heldBytes } from "./sink";
import worker from "./worker";

const bucket = (env as unknown as Env).R2_UPLOADS;
const boundary = "edge";
const encoder = new TextEncoder();

let people = 0;
const somebody = () => `form${people++}@example.test`;

interface Part {
  readonly name: string;
  readonly filename?: string;
  readonly type?: string;
  readonly body: string | Uint8Array;
}

function spell(...parts: Part[]): Uint8Array<ArrayBuffer> {
  const pieces: Uint8Array[] = [];
  for (const { name, filename, type, body } of parts) {
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    const header = `Content-Disposition: form-data; name="${name}"${file}\r\n${type === undefined ? "" : `Content-Type: ${type}\r\n`}`;
    pieces.push(
      encoder.encode(`--${boundary}\r\n${header}\r\n`),
      typeof body === "string" ? encoder.encode(body) : body,
      encoder.encode("\r\n"),
    );
  }
  pieces.push(encoder.encode(`--${boundary}--\r\n`));
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.byteLength;
  }
  return all;
}

interface Sent {
  readonly path?: string;
  readonly length?: number;
  readonly type?: string;
}

function send(who: Record<string, string>, body: Uint8Array<ArrayBuffer>, sent: Sent = {}): Promise<Response> {
  const { path = "/v1/files/upload", length = body.byteLength, type = `multipart/form-data; boundary=${boundary}` } = sent;
  return SELF.fetch(`https://service${path}`, {
    method: "POST",
    headers: { ...who, "content-type": type, "content-length": String(length) },
    body,
  });
}

async function kept(email: string): Promise<string[]> {
  const { objects } = await bucket.list();
  return objects.map(({ key }) => key).filter((key) => key.includes(`/${email}/`));
}

const listed = async (who: Record<string, string>) =>
  ((await (await SELF.fetch("https://service/api/files", { headers: who })).json()) as { items: Record<string, unknown>[] }).items;

const bytesOf = (size: number) => new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) % 251);

describe("a form", () => {
  it.each([
    ["before its prompt", true],
    ["after its prompt", false],
  ])("with a file %s is stored, and the prompt is with it", async (_, first) => {
    const email = somebody();
    const file: Part = { name: "file", filename: "Größe %22 1.txt", type: "text/plain", body: "0123456789" };
    const prompt: Part = { name: "prompt", body: "what is thís?" };
    const response = await send(user(email), spell(...(first ? [file, prompt] : [prompt, file]), { name: "more", body: "x" }));
    const answer = (await response.json()) as { key: string };
    expect([response.status, answer]).toEqual([
      200,
      {
        ok: true,
        key: expect.stringMatching(/-Größe " 1\.txt$/),
        size: 10,
        etag: expect.any(String),
        version: expect.any(String),
        content_type: "text/plain",
        job_id: null,
        status: "stored",
      },
    ]);
    const object = await bucket.get(answer.key);
    expect(await object?.text()).toBe("0123456789");
    expect(object?.customMetadata).toEqual({ uploader: email, route: "/v1/files/upload", original_filename: 'Größe " 1.txt' });
    expect(await listed(user(email))).toEqual([expect.objectContaining({ key: answer.key, size: 10, prompt: "what is thís?" })]);
  });

  it.each([0, 1, -1, 300_007])(
    "with a file of two parts and %d bytes comes back byte for byte, and holds the room of its own size",
    async (more) => {
      const email = somebody();
      const bytes = bytesOf(2 * heldBytes + more);
      const response = await send(user(email), spell({ name: "file", filename: "a.bin", body: bytes }), { path: "/api/files" });
      const { key, size } = (await response.json()) as { key: string; size: number };
      expect(size).toBe(bytes.byteLength);
      const stored = await (await bucket.get(key))?.arrayBuffer();
      expect(await crypto.subtle.digest("SHA-256", stored as ArrayBuffer)).toEqual(await crypto.subtle.digest("SHA-256", bytes));
      expect(await listed(user(email))).toMatchObject([{ key, size: bytes.byteLength }]);
    },
  );

  const file: Part = { name: "file", filename: "a.bin", body: "0123456789" };
  it.each([
    ["without a file", [{ name: "prompt", body: "x" }], 400, "missing_file"],
    ["with two files", [file, file], 400, "several_files"],
    ["with an empty file", [{ ...file, body: "" }], 400, "empty_file"],
    ["with a file without a name", [{ name: "file", body: "x" }], 400, "missing_filename"],
    ["with a file of a path", [{ ...file, filename: "../a" }], 400, "invalid_filename"],
    ["with a file of a Windows path", [{ ...file, filename: "C:\\a" }], 400, "invalid_filename"],
    ["with a name of two lines", [{ ...file, filename: "a%0Ab" }], 400, "invalid_filename"],
    ["with a name that turns around", [{ ...file, filename: "invoice\u202egnp.exe" }], 400, "invalid_filename"],
    ["with a file that is not what it says", [{ ...file, type: "image/png" }], 415, "content_type_mismatch"],
    [
      "with a large one that is not what it says",
      [{ ...file, type: "image/png", body: bytesOf(heldBytes + 9) }],
      415,
      "content_type_mismatch",
    ],
    ["with a type that is none", [{ ...file, type: "png" }], 400, "invalid_content_type"],
    ["with a prompt that is too long", [file, { name: "prompt", body: "é".repeat(2049) }], 400, "invalid_prompt"],
    ["with a prompt that is not UTF-8", [file, { name: "prompt", body: new Uint8Array([0xc3]) }], 400, "invalid_prompt"],
  ] as [string, Part[], number, string][])("%s is refused, and nothing stays", async (_, parts, status, error) => {
    const email = somebody();
    const response = await send(user(email), spell(...parts));
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
    expect(await kept(email)).toEqual([]);
  });

  it.each([
    ["is cut off within its file", 20_000, "upload_incomplete"],
    ["is cut off after a part was stored", heldBytes + 200_000, "upload_incomplete"],
    ["lacks its last two dashes", -4, "upload_incomplete"],
  ])("that %s leaves nothing", async (_, length, error) => {
    const email = somebody();
    const whole = spell({ name: "file", filename: "a.bin", body: bytesOf(2 * heldBytes) });
    const body = whole.slice(0, length);
    const response = await send(user(email), body);
    expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ error })]);
    expect(await kept(email)).toEqual([]);
    expect(await listed(user(email))).toEqual([]);
  });

  it("that is cut off half-way has the parts that were stored aborted", async () => {
    const begun: R2MultipartUpload[] = [];
    const watched = new Proxy(bucket, {
      get(target, name) {
        if (name === "createMultipartUpload") {
          return async (...args: Parameters<R2Bucket["createMultipartUpload"]>) => {
            const upload = await target.createMultipartUpload(...args);
            begun.push(upload);
            return upload;
          };
        }
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    const body = spell({ name: "file", filename: "a.bin", body: bytesOf(2 * heldBytes) }).slice(0, heldBytes + 200_000);
    const headers = {
      ...user(somebody()),
      "content-type": `multipart/form-data; boundary=${boundary}`,
      "content-length": `${body.byteLength}`,
    };
    const request = new Request("https://service/v1/files/upload", { method: "POST", headers, body });
    const ctx = createExecutionContext();
    const response = (await worker.fetch?.(
      request as Request<unknown, IncomingRequestCfProperties>,
      { ...(env as unknown as Env), R2_UPLOADS: watched },
      ctx,
    )) as Response;
    await waitOnExecutionContext(ctx);
    expect([response.status, begun.length]).toEqual([400, 1]);
    const { key, uploadId } = begun[0] as R2MultipartUpload;
    const more = bucket.resumeMultipartUpload(key, uploadId).uploadPart(1, "more");
    await expect(more).rejects.toThrow("10024"); // there is no such upload any more
  });

  it.each(["application/json", "multipart/form-data", 'multipart/form-data; boundary="a "'])("sent as %s is none", async (type) => {
    const response = await send(user(somebody()), spell(file), { type });
    expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ error: "invalid_multipart" })]);
  });

  it("of browsers is read", async () => {
    const form = new FormData();
    form.set("file", new File(["0123456789"], "a.txt", { type: "text/plain" }));
    form.set("prompt", "hello");
    const { headers, body } = new Response(form);
    const bytes = new Uint8Array(await new Response(body).arrayBuffer());
    const response = await send(user(somebody()), bytes, { type: headers.get("content-type") as string });
    expect(await response.json()).toMatchObject({ ok: true, size: 10, content_type: "text/plain" });
  });
});
