import { env, SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { AUTH } from "../../shared/src/contract.gen";
import { guest, user } from "../../shared/src/testing/callers";
import type { Env } from "./env.gen";
import { sign, verify } from "./signature";

const bindings = env as unknown as Env;
const bucket = bindings.R2_UPLOADS;
const service = "https://service";
const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);

let people = 0;
const somebody = () => `signed${people++}@example.test`;

type Who = Record<string, string>;
interface Signed {
  readonly key: string;
  readonly path: string;
  readonly expires_at: string;
}

const ask = (who: Who, body: object) => SELF.fetch(`${service}/api/signed`, { method: "POST", headers: who, body: JSON.stringify(body) });

async function signed(who: Who, body: object): Promise<Signed> {
  const response = await ask(who, body);
  expect(response.status).toBe(200);
  return response.json();
}

const refusal = async (response: Response | Promise<Response>) => {
  const answered = await response;
  return [answered.status, ((await answered.json()) as { error: string }).error];
};

async function stored(who: Who, text = "0123456789"): Promise<string> {
  const headers = { ...who, "content-length": String(text.length) };
  const response = await SELF.fetch(`${service}/api/files?filename=a.txt`, { method: "POST", headers, body: text });
  return ((await response.json()) as { key: string }).key;
}

const send = (path: string, body: Uint8Array<ArrayBuffer>, type = "image/png", length = body.byteLength) =>
  SELF.fetch(service + path, {
    method: "PUT",
    headers: { "content-type": type, "content-length": String(length) },
    body: new Blob([body]).stream(),
  });

/** The same URL with one thing about it changed. */
function changed(path: string, change: (url: URL) => void): string {
  const url = new URL(service + path);
  change(url);
  return url.pathname + url.search;
}

async function kept(email: string): Promise<string[]> {
  const { objects } = await bucket.list();
  return objects.map(({ key }) => key).filter((key) => key.includes(`/${email}/`));
}

describe("a URL to read by", () => {
  it("gives the file to whoever has it, whole or in part, and no longer than it says", async () => {
    const who = user(somebody());
    const key = await stored(who);
    const { path, expires_at } = await signed(who, { method: "GET", key });
    const leftMs = Date.parse(expires_at) - Date.now();
    expect(Math.abs(leftMs - AUTH.signedUrls.defaultLifeS * 1000)).toBeLessThan(60_000);
    const whole = await SELF.fetch(service + path);
    expect([whole.status, await whole.text(), whole.headers.get("content-disposition")]).toEqual([
      200,
      "0123456789",
      "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt",
    ]);
    const part = await SELF.fetch(service + path, { headers: { range: "bytes=2-3" } });
    expect([part.status, await part.text()]).toEqual([206, "23"]);
    expect(await refusal(SELF.fetch(service + path, { headers: { range: "bytes=99-" } }))).toEqual([416, "range_not_satisfiable"]);
    expect((await SELF.fetch(service + path, { method: "HEAD" })).status).toBe(200);
    await bucket.delete(key);
    expect(await refusal(SELF.fetch(service + path))).toEqual([404, "file_not_found"]);
  });

  it("is for that file, that method and that time alone", async () => {
    const who = user(somebody());
    const [key, other] = [await stored(who), await stored(who)];
    const { path } = await signed(who, { method: "GET", key });
    const forged = [
      changed(path, (url) => url.searchParams.set("expires", String(Number(url.searchParams.get("expires")) + 1))),
      changed(path, (url) => url.searchParams.set("expires", `0${url.searchParams.get("expires")}`)),
      changed(path, (url) => url.searchParams.delete("expires")),
      changed(path, (url) => url.searchParams.delete("signature")),
      changed(path, (url) => url.searchParams.set("signature", `${url.searchParams.get("signature")}A`)),
      changed(path, (url) => url.searchParams.set("signature", "A".repeat(43))),
      path.replace(encodeURIComponent(key), encodeURIComponent(other)),
    ];
    for (const one of forged) {
      expect(await refusal(SELF.fetch(service + one))).toEqual([403, "signature_invalid"]);
    }
    expect(await refusal(send(path, png))).toEqual([403, "signature_invalid"]);
  });

  it.each([
    ["that has passed", -1],
    ["beyond what any URL may have", AUTH.signedUrls.maxLifeS + 60],
  ])("with a time %s is refused, though we signed it", async (_, seconds) => {
    const key = await stored(user(somebody()));
    const expires = Math.floor(Date.now() / 1000) + seconds;
    const signature = await sign(bindings, { method: "GET", key, expires, type: null });
    const path = `/api/signed/${encodeURIComponent(key)}?expires=${expires}&signature=${signature}`;
    expect(await refusal(SELF.fetch(service + path))).toEqual([403, "url_expired"]);
  });

  it("is made of the caller's own files alone", async () => {
    const key = await stored(user(somebody()));
    expect(await refusal(ask(user("thief@example.test"), { method: "GET", key }))).toEqual([403, "forbidden"]);
  });

  it.each([
    [{ key: "uploads/x" }, 400, "missing_method"],
    [{ method: "DELETE", key: "x" }, 400, "invalid_method"],
    [{ method: "HEAD" }, 400, "invalid_method"],
    [{ method: "GET" }, 400, "missing_key"],
    [{ method: "PUT" }, 400, "missing_filename"],
    [{ method: "PUT", filename: "../x" }, 400, "invalid_filename"],
    [{ method: "PUT", filename: "x", content_type: "x" }, 400, "invalid_content_type"],
    [{ method: "PUT", filename: "x", expires_in_s: 0 }, 400, "invalid_expires_in_s"],
    [{ method: "PUT", filename: "x", expires_in_s: AUTH.signedUrls.maxLifeS + 1 }, 400, "invalid_expires_in_s"],
    [{ method: "PUT", filename: "x", expires_in_s: "60" }, 400, "invalid_expires_in_s"],
  ])("is not made of %j", async (body, status, error) => {
    expect(await refusal(ask(user(somebody()), body))).toEqual([status, error]);
  });
});

describe("a URL to send by", () => {
  it("stores one file, which is its owner's", async () => {
    const email = `${somebody()}/=%`;
    const { key, path } = await signed(user(email), { method: "PUT", filename: "Größe 1.png", content_type: "image/png" });
    const answer = await send(path, png);
    expect([answer.status, await answer.json()]).toMatchObject([200, { ok: true, key, size: png.byteLength, content_type: "image/png" }]);
    expect((await bucket.head(key))?.customMetadata).toEqual({ uploader: email, route: "/api/signed", original_filename: "Größe 1.png" });
    const list = (await (await SELF.fetch(`${service}/api/files`, { headers: user(email) })).json()) as { items: { key: string }[] };
    expect(list.items.map((item) => item.key)).toEqual([key]);
    expect(await refusal(send(path, png))).toEqual([409, "already_uploaded"]);
    expect(await (await SELF.fetch(`${service}/api/files/${encodeURIComponent(key)}`, { headers: user(email) })).arrayBuffer()).toEqual(
      png.buffer,
    );
  });

  it("that several use at once takes one file, and lists it once", async () => {
    const email = somebody();
    const { key, path } = await signed(user(email), { method: "PUT", filename: "a.png", content_type: "image/png" });
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(path, png)));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
    expect((await kept(email)).length).toBe(2);
    const list = (await (await SELF.fetch(`${service}/api/files`, { headers: user(email) })).json()) as { items: { key: string }[] };
    expect(list.items.map((item) => item.key)).toEqual([key]);
  });

  it("takes its own type alone, and nothing that is cut off; and may then be used still", async () => {
    const email = somebody();
    const { path } = await signed(user(email), { method: "PUT", filename: "a.png", content_type: "image/png" });
    expect(await refusal(send(path, png, "text/html"))).toEqual([415, "content_type_mismatch"]);
    expect(
      await refusal(
        send(
          changed(path, (url) => url.searchParams.set("type", "text/html")),
          png,
          "text/html",
        ),
      ),
    ).toEqual([403, "signature_invalid"]);
    expect(await refusal(send(path, new Uint8Array(8)))).toEqual([415, "content_type_mismatch"]);
    const long = new Uint8Array(600_000);
    long.set(png);
    expect(await refusal(send(path, long, "image/png", 700_000))).toEqual([400, "upload_incomplete"]);
    expect(await kept(email)).toEqual([]);
    expect((await send(path, png)).status).toBe(200);
  });

  it("is within the quota of whoever made it", async () => {
    const { path } = await signed(guest, { method: "PUT", filename: "a.bin" });
    expect(await refusal(send(path, new Uint8Array(600), "application/octet-stream", 99_000_000))).toEqual([413, "quota_exceeded"]);
  });
});

describe("a change of keys", () => {
  const grant = { method: "GET", key: "uploads/x", expires: 2_000_000_000, type: null } as const;
  const keys = (now: string | undefined, before?: string) =>
    ({ FILES_SIGNING_KEY: now, FILES_SIGNING_KEY_BEFORE: before, R2_UPLOADS: bucket }) as Env;

  it("leaves URLs of the key before good until it goes, and signs with the new one", async () => {
    const old = await sign(keys("one"), grant);
    expect(await verify(keys("two", "one"), grant, old)).toBe(true);
    expect(await verify(keys("two"), grant, old)).toBe(false);
    expect(await sign(keys("two", "one"), grant)).toBe(await sign(keys("two"), grant));
  });

  it("to none makes no URL and believes none", async () => {
    await expect(sign(keys(undefined), grant)).rejects.toMatchObject({ status: 501, code: "signing_unconfigured" });
    expect(await verify(keys(""), grant, "A".repeat(43))).toBe(false);
  });
});
