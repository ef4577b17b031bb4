import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";

import { AUTH } from "../contract.gen";
import { goodClaims, publish, seconds, signed } from "../testing/tokens";
import { parseRevoked, Revocations } from "./revocations";
import { Verifier } from "./verifier";

const now = seconds();
const scope = (at = now, keys = env.KEYS) => ({ keys, issuer: env.TEST_ISSUER, now: at });
const revoke = (list: object) => env.KEYS.put("revoked", JSON.stringify({ as_of: now, jti: [], family: [], subject: [], ...list }));
const claims = { ...goodClaims(now), exp: now + 3600, jti: "j1", fam: "f1" };
const revoked = { status: 401, code: "token_revoked" };

/** The real namespace, until it is broken. */
function breakable() {
  const state = { broken: false, reads: 0 };
  const keys = new Proxy(env.KEYS, {
    get: (target, name) =>
      name !== "get"
        ? Reflect.get(target, name)
        : async (key: string) => {
            state.reads += key === "revoked" ? 1 : 0;
            if (state.broken && key === "revoked") {
              throw new Error("KV is away");
            }
            return target.get(key);
          },
  });
  return { keys, state };
}

beforeEach(async () => {
  await publish();
  await env.KEYS.delete("revoked");
});

describe("a revoked token", () => {
  it.each([
    ["by its name", { jti: ["j1"] }],
    ["by its sign-in", { family: ["f1"] }],
    ["by its subject", { subject: [["a@example.test", now]] }],
  ])("is refused %s", async (_, list) => {
    await revoke(list);
    await expect(new Verifier().verify(await signed(claims), scope())).rejects.toMatchObject(revoked);
  });

  it.each([
    ["another name", { jti: ["j2"] }],
    ["another sign-in", { family: ["f2"] }],
    ["a name where a sign-in stands", { family: ["j1"], jti: ["f1"] }],
    ["its subject, before it was issued", { subject: [["a@example.test", now - 1]] }],
    ["another subject", { subject: [["b@example.test", now]] }],
  ])("is not one that the list says of %s", async (_, list) => {
    await revoke(list);
    await expect(new Verifier().verify(await signed(claims), scope())).resolves.toBeDefined();
  });

  it("is refused within the gateway's cache, though it was remembered as good (the bound of auth.json)", async () => {
    const verifier = new Verifier();
    const token = await signed(claims);
    await verifier.verify(token, scope());
    await revoke({ jti: ["j1"] });
    await expect(verifier.verify(token, scope(now + AUTH.gatewayCache - 1))).resolves.toBeDefined();
    await expect(verifier.verify(token, scope(now + AUTH.gatewayCache))).rejects.toMatchObject(revoked);
    await expect(verifier.verify(token, scope(now + AUTH.gatewayCache + 1))).rejects.toMatchObject(revoked);
  });

  it("is refused when another token's check brought the list", async () => {
    const verifier = new Verifier();
    const [token, other] = [await signed(claims), await signed({ ...claims, jti: "j2", fam: "f2" })];
    await verifier.verify(token, scope());
    await revoke({ jti: ["j1"] });
    await verifier.verify(other, scope(now + AUTH.gatewayCache));
    await expect(verifier.verify(token, scope(now + AUTH.gatewayCache + 1))).rejects.toMatchObject(revoked);
  });
});

describe("a token of a suspended tenant", () => {
  const acme = { ...claims, tid: "acme" };

  it("is refused, also one that was remembered as good, and not any more once the tenant is resumed", async () => {
    const verifier = new Verifier();
    const token = await signed(acme);
    await verifier.verify(token, scope());
    await revoke({ tenant: ["acme"] });
    const suspended = { status: 403, code: "tenant_suspended" };
    await expect(verifier.verify(token, scope(now + AUTH.gatewayCache))).rejects.toMatchObject(suspended);
    await expect(new Verifier().verify(token, scope())).rejects.toMatchObject(suspended);
    await revoke({ tenant: [] });
    await expect(verifier.verify(token, scope(now + 2 * AUTH.gatewayCache))).resolves.toBeDefined();
  });

  it.each([
    ["another tenant", ["acm"]],
    ["an account of that name", ["a@example.test"]],
  ])("is not one that the list says of %s", async (_, tenant) => {
    await revoke({ tenant });
    await expect(new Verifier().verify(await signed(acme), scope())).resolves.toBeDefined();
    await expect(new Verifier().verify(await signed(claims), scope())).resolves.toBeDefined();
  });
});

describe("while KV fails", () => {
  it("the old list serves for a while, and then nobody gets in", async () => {
    const { keys, state } = breakable();
    const verifier = new Verifier();
    const token = await signed(claims);
    await verifier.verify(token, scope(now, keys));
    state.broken = true;
    await expect(verifier.verify(token, scope(now + AUTH.jwksMaxAge - 1, keys))).resolves.toBeDefined();
    const late = verifier.verify(token, scope(now + AUTH.jwksMaxAge, keys));
    await expect(late).rejects.toMatchObject({ status: 503, code: "revocations_unavailable" });
  });

  it("nobody gets in where no list was ever read", async () => {
    const { keys, state } = breakable();
    state.broken = true;
    await expect(new Verifier().verify(await signed(claims), scope(now, keys))).rejects.toMatchObject({ status: 503 });
  });

  it("a list that cannot be read counts as KV failing, never as an empty one", async () => {
    await env.KEYS.put("revoked", "{}");
    await expect(new Verifier().verify(await signed(claims), scope())).rejects.toMatchObject({ code: "revocations_unavailable" });
  });
});

describe("the list", () => {
  it("is read once a cache period", async () => {
    const { keys, state } = breakable();
    const revocations = new Revocations();
    for (const at of [0, 1, AUTH.gatewayCache - 1, AUTH.gatewayCache, AUTH.gatewayCache + 1]) {
      await revocations.refresh(keys, now + at);
    }
    expect(state.reads).toBe(2);
  });

  it.each([
    "",
    "null",
    "[]",
    "7",
    "{}",
    '{"jti":[1],"family":[],"subject":[]}',
    '{"jti":[],"family":{},"subject":[]}',
    '{"jti":[],"family":[],"subject":[["a"]]}',
    '{"jti":[],"family":[],"subject":[],"tenant":"acme"}',
  ])("is not %s", (text) => expect(parseRevoked(text)).toBeUndefined());

  it("may name a subject as no object's member can be", () => {
    const list = parseRevoked('{"jti":[],"family":[],"subject":[["__proto__",5]]}');
    expect(list?.subject.get("__proto__")).toBe(5);
  });
});
