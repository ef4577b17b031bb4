import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { AUTH } from "../contract.gen";
import { goodClaims, goodHeader, hmacSigned, kid, newKeyPair, publicJwk, publish, seconds, signed, unsigned } from "../testing/tokens";
import { Verifier } from "./verifier";

const now = seconds();
const scope = (at = now) => ({ keys: env.KEYS, issuer: env.TEST_ISSUER, now: at });
const good = goodClaims(now);
const publicJwkText = env.TEST_JWKS;

/** Counts reads of the keys in KV; everything else is the real namespace. */
function counting(): { keys: KVNamespace; reads: () => number } {
  let reads = 0;
  const keys = new Proxy(env.KEYS, {
    get(target, name) {
      if (name !== "get") {
        return Reflect.get(target, name);
      }
      return (key: string) => {
        reads += key === "jwks" ? 1 : 0;
        return target.get(key);
      };
    },
  });
  return { keys, reads: () => reads };
}

beforeEach(() => publish());

describe("a token of ours", () => {
  it("gives its email in lower case, role and tenant", async () => {
    const token = await signed({ ...good, tid: "t1" });
    expect(await new Verifier().verify(token, scope())).toEqual({ id: "a@example.test", role: "user", tenant: "t1", admin: false });
  });

  it("gives its subject when it has no email", async () => {
    const token = await signed({ ...good, email: undefined, sub: "guest:1", role: "guest" });
    expect((await new Verifier().verify(token, scope())).id).toBe("guest:1");
  });

  it.each([
    ["just expired, within the skew", { exp: now - AUTH.clockSkew + 1 }],
    ["not yet valid, within the skew", { nbf: now + AUTH.clockSkew - 1 }],
  ])("is accepted when %s", async (_, change) => {
    await expect(new Verifier().verify(await signed({ ...good, ...change }), scope())).resolves.toBeDefined();
  });
});

describe("claims that do not hold", () => {
  it.each([
    ["expired", { exp: now - AUTH.clockSkew - 1 }, "token_expired"],
    ["not yet valid", { nbf: now + AUTH.clockSkew + 5 }, "token_invalid"],
    ["another issuer", { iss: "https://api.cognomega.example" }, "token_invalid"],
    ["no issuer", { iss: undefined }, "token_invalid"],
    ["no expiry", { exp: undefined }, "token_invalid"],
    ["an expiry in text", { exp: String(now + 600) }, "token_invalid"],
    ["no subject", { sub: undefined }, "token_invalid"],
    ["a role that is not ours", { role: "admin" }, "token_invalid"],
    ["no role", { role: undefined }, "token_invalid"],
  ])("%s is refused", async (_, change, code) => {
    await expect(new Verifier().verify(await signed({ ...good, ...change }), scope())).rejects.toMatchObject({ status: 401, code });
  });
});

describe("headers that do not hold", () => {
  const attacks: [string, () => string | Promise<string>][] = [
    ["alg none", () => unsigned(good)],
    ["alg None with a good signature", () => signed(good, { ...goodHeader, alg: "None" })],
    ["HS256 under the published JWKS", () => hmacSigned(good, publicJwkText)],
    ["HS256 under the modulus", () => hmacSigned(good, JSON.parse(publicJwkText).keys[0].n)],
    ["RS512", () => signed(good, { ...goodHeader, alg: "RS512" })],
    ["no kid", () => signed(good, { alg: "RS256", typ: "JWT" })],
    ["an unknown kid", () => signed(good, { ...goodHeader, kid: "k9" })],
    ["a kid that is a number", () => signed(good, { ...goodHeader, kid: 1 })],
    ["a key of its own (jwk)", () => signed(good, { ...goodHeader, jwk: {} })],
    ["a key elsewhere (jku)", () => signed(good, { ...goodHeader, jku: "https://evil.test/jwks.json" })],
    ["a certificate elsewhere (x5u)", () => signed(good, { ...goodHeader, x5u: "https://evil.test/c.pem" })],
    ["a critical extension", () => signed(good, { ...goodHeader, crit: ["b64"], b64: false })],
    ["alg twice", () => signed(good, `{"alg":"none","alg":"RS256","typ":"JWT","kid":"${kid}"}`)],
    ["alg twice, once escaped", () => signed(good, `{"\\u0061lg":"none","alg":"RS256","typ":"JWT","kid":"${kid}"}`)],
    ["kid twice", () => signed(good, `{"alg":"RS256","kid":"other","typ":"JWT","kid":"${kid}"}`)],
    ["__proto__", () => signed(good, `{"alg":"RS256","typ":"JWT","__proto__":{"kid":"${kid}"}}`)],
    ["another typ", () => signed(good, { ...goodHeader, typ: "at+jwt" })],
    ["a header that is a list", () => signed(good, `["RS256"]`)],
    ["a header that is not JSON", () => signed(good, `{`)],
    ["five parts", async () => `${await signed(good)}.a.b`],
    ["one part", () => "abc"],
    [
      "a changed claim",
      async () =>
        (await signed(good)).replace(/\.[^.]+\./, `.${btoa(JSON.stringify({ ...good, email: "b@x.test" })).replaceAll("=", "")}.`),
    ],
    ["a cut signature", async () => (await signed(good)).slice(0, -4)],
    ["another key under our kid", async () => signed(good, goodHeader, (await newKeyPair()).privateKey)],
    ["more than 8192 bytes", async () => signed({ ...good, pad: "x".repeat(9000) })],
  ];

  it.each(attacks)("%s is refused", async (_, make) => {
    await expect(new Verifier().verify(await make(), scope())).rejects.toMatchObject({ status: 401, code: "token_invalid" });
  });

  it("still accepts the good token beside them", async () => {
    await expect(new Verifier().verify(await signed(good), scope())).resolves.toBeDefined();
  });
});

describe("what is remembered", () => {
  it("reads KV once while the keys are fresh, and again after the stated bound", async () => {
    const { keys, reads } = counting();
    const verifier = new Verifier();
    const token = await signed({ ...good, exp: now + 3600 });
    for (const at of [now, now + 1, now + AUTH.gatewayCache - 1]) {
      await verifier.verify(token, { ...scope(at), keys });
    }
    expect(reads()).toBe(1);
    await verifier.verify(token, { ...scope(now + AUTH.gatewayCache), keys });
    expect(reads()).toBe(2);
  });

  it("refuses a remembered token once it expires, though its key is fresh", async () => {
    const verifier = new Verifier();
    const later = now + AUTH.clockSkew + 1;
    const token = await signed({ ...good, exp: now + 1 });
    await verifier.verify(token, scope());
    await verifier.verify(await signed({ ...good, exp: now + 3600 }), scope(later));
    await expect(verifier.verify(token, scope(later))).rejects.toMatchObject({ code: "token_expired" });
  });

  it.each([
    ["is no longer published", "k2"],
    ["id names other material", kid],
  ])("refuses a remembered token once its key %s", async (_, newId) => {
    const verifier = new Verifier();
    const later = now + AUTH.gatewayCache;
    const token = await signed(good);
    await verifier.verify(token, scope());
    const pair = await newKeyPair();
    await publish(JSON.stringify({ keys: [await publicJwk(pair, newId)] }));
    // Another caller's token has the new keys loaded before the old token comes again.
    await verifier.verify(await signed(good, { ...goodHeader, kid: newId }, pair.privateKey), scope(later));
    await expect(verifier.verify(token, scope(later))).rejects.toMatchObject({ code: "token_invalid" });
  });

  it("forgets the oldest past its bound, and still verifies it", async () => {
    const verifier = new Verifier();
    const first = await signed(good);
    await verifier.verify(first, scope());
    for (let i = 0; i <= AUTH.maxVerified; i += 64) {
      await Promise.all(Array.from({ length: 64 }, async (_, j) => verifier.verify(await signed({ ...good, jti: `${i + j}` }), scope())));
    }
    expect(verifier.remembered).toBe(AUTH.maxVerified);
    await expect(verifier.verify(first, scope())).resolves.toBeDefined();
  }, 60_000); // it signs thousands of tokens

  it("finds a key published since with one reload, and bounds reloads for keys that never come", async () => {
    const { keys, reads } = counting();
    const verifier = new Verifier();
    await verifier.verify(await signed(good), { ...scope(), keys });
    const pair = await newKeyPair();
    await publish(JSON.stringify({ keys: [...JSON.parse(publicJwkText).keys, await publicJwk(pair, "k2")] }));
    const fresh = await signed(good, { ...goodHeader, kid: "k2" }, pair.privateKey);
    await verifier.verify(fresh, { ...scope(now + 1), keys });
    expect(reads()).toBe(2);
    for (let i = 0; i < 5; i++) {
      const forged = await signed(good, { ...goodHeader, kid: `k${i + 10}` });
      await expect(verifier.verify(forged, { ...scope(now + 2), keys })).rejects.toMatchObject({ code: "token_invalid" });
    }
    expect(reads()).toBe(2);
  });

  it("goes on with the keys at hand while KV fails, but not past their max-age", async () => {
    const verifier = new Verifier();
    const token = await signed({ ...good, exp: now + 3600 });
    await verifier.verify(token, scope());
    await env.KEYS.delete("jwks");
    await expect(verifier.verify(token, scope(now + AUTH.jwksMaxAge - 1))).resolves.toBeDefined();
    await expect(verifier.verify(token, scope(now + AUTH.jwksMaxAge))).rejects.toMatchObject({ status: 503, code: "jwks_missing" });
  });
});

describe("what is published", () => {
  it("answers 503 when nothing is", async () => {
    await env.KEYS.delete("jwks");
    await expect(new Verifier().verify(await signed(good), scope())).rejects.toMatchObject({ status: 503, code: "jwks_missing" });
  });

  it.each([
    ["not JSON", "{"],
    ["no keys", "{}"],
    ["null", "null"],
    ["an HMAC key", `{"keys":[{"kty":"oct","kid":"${kid}","k":"AAAA"}]}`],
  ])("answers 503 for %s", async (_, document) => {
    await publish(document);
    await expect(new Verifier().verify(await signed(good), scope())).rejects.toMatchObject({ status: 503, code: "jwks_invalid" });
  });

  it("passes over an RSA key of 1024 bits", async () => {
    const weak = await newKeyPair(1024);
    await publish(JSON.stringify({ keys: [...JSON.parse(publicJwkText).keys, await publicJwk(weak, "weak")] }));
    const token = await signed(good, { ...goodHeader, kid: "weak" }, weak.privateKey);
    await expect(new Verifier().verify(token, scope())).rejects.toMatchObject({ code: "token_invalid" });
  });
});
