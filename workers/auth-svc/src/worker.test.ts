import { createExecutionContext, env, SELF } from "cloudflare:test";
import { decodeProtectedHeader, importJWK, type JWK, jwtVerify } from "jose";
import { beforeEach, describe, expect, it } from "vitest";

import { encodeCaller } from "../../shared/src/caller";
import { describeEveryWorker } from "../../shared/src/testing/every-worker";
import { goodClaims, newKeyPair, publish, signed } from "../../shared/src/testing/tokens";
import type { Env } from "./env.gen";
import { sign } from "./sign";
import worker from "./worker";

describeEveryWorker("auth-svc");

beforeEach(() => publish());

const admin = { "x-cog-caller": encodeCaller({ id: null, role: null, tenant: null, admin: true }) };
const post = (path: string, body?: string, headers: Record<string, string> = {}) =>
  SELF.fetch(`https://service${path}`, { method: "POST", headers, ...(body === undefined ? {} : { body }) });

/** Verifies as any outsider would: with the keys that the JWKS path gives. */
async function verify(token: string) {
  const { keys } = await (await SELF.fetch("https://service/.well-known/jwks.json")).json<{ keys: JWK[] }>();
  return jwtVerify(token, ({ kid }) => importJWK(keys.find((k) => k.kid === kid) as JWK), { algorithms: ["RS256"] });
}

describe("POST /auth/guest", () => {
  it("mints a token that the published keys verify", async () => {
    const { token, exp } = await (await post("/auth/guest")).json<{ token: string; exp: number }>();
    const { payload, protectedHeader } = await verify(token);
    expect(protectedHeader).toEqual({ alg: "RS256", typ: "JWT", kid: "test-k1" });
    expect(Object.keys(payload).sort()).toEqual(["exp", "iat", "iss", "role", "sub"]);
    expect(payload).toMatchObject({ iss: env.TEST_ISSUER, role: "guest", sub: expect.stringMatching(/^guest:[0-9a-f-]{36}$/) });
    expect([exp, exp - (payload.iat as number)]).toEqual([payload.exp, 3600]);
  });

  it("gives every guest another subject", async () => {
    const subs = new Set<string>();
    for (let i = 0; i < 5; i++) {
      subs.add((await verify((await (await post("/auth/guest", "{}")).json<{ token: string }>()).token)).payload.sub as string);
    }
    expect(subs.size).toBe(5);
  });

  it("refuses a body that is not JSON, rather than take it for none", async () => {
    expect(await (await post("/auth/guest", "{oops")).json()).toMatchObject({ error: "invalid_json" });
  });

  it.each([
    ["no key", { PRIVATE_KEY_PEM: "" }],
    ["a key that is none", { PRIVATE_KEY_PEM: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----" }],
    ["no kid", { KID: "" }],
    ["a pointer to no slot", { SIGNING_SLOT: "c:test-k1" }],
    ["a pointer to an empty slot", { SIGNING_SLOT: "b:k2" }],
    ["a pointer that means a key the slot no longer holds", { SIGNING_SLOT: "a:k0" }],
    ["a pointer without a key", { SIGNING_SLOT: "a" }],
  ])("says that it cannot sign with %s", async (_, change) => {
    const broken = { ...(env as unknown as Env), ...change };
    await expect(sign(broken, { sub: "x", role: "guest" }, 1)).rejects.toMatchObject({ status: 503, code: "signing_key_unusable" });
  });
});

describe("the slot that signs", () => {
  const claims = { sub: "x", role: "guest" } as const;
  const signer = async (change: object) => {
    const pair = await newKeyPair();
    const der = (await crypto.subtle.exportKey("pkcs8", pair.privateKey)) as ArrayBuffer;
    const pem = `-----BEGIN PRIVATE KEY-----\n${btoa(String.fromCharCode(...new Uint8Array(der)))}\n-----END PRIVATE KEY-----`;
    const { token } = await sign({ ...(env as unknown as Env), PRIVATE_KEY_PEM_B: pem, KID_B: "k2", ...change }, claims, 1_000);
    return {
      kid: decodeProtectedHeader(token).kid,
      verifies: (key: CryptoKey) => jwtVerify(token, key, { currentDate: new Date(1_000_000) }),
      pair,
    };
  };

  it.each([
    ["the first without a pointer", {}, "test-k1"],
    ["the first with an empty pointer", { SIGNING_SLOT: "" }, "test-k1"],
    ["the first", { SIGNING_SLOT: "a:test-k1" }, "test-k1"],
    ["the second", { SIGNING_SLOT: "b:k2" }, "k2"],
  ])("is %s", async (_, change, kid) => {
    expect((await signer(change)).kid).toBe(kid);
  });

  it("signs with its own key", async () => {
    const { verifies, pair } = await signer({ SIGNING_SLOT: "b:k2" });
    await expect(verifies(pair.publicKey)).resolves.toBeDefined();
  });
});

describe("POST /auth/token", () => {
  it("mints a token bound to an email, in lower case", async () => {
    const { token } = await (await post("/auth/token", `{"email":" Ada@Example.Test "}`, admin)).json<{ token: string }>();
    expect((await verify(token)).payload).toMatchObject({ email: "ada@example.test", sub: "ada@example.test", role: "user" });
  });

  it("mints none for a tenant while nobody can say whether there is one", async () => {
    const response = await post("/auth/token", `{"email":"ada@example.test","tid":"t-1"}`, admin);
    expect([response.status, await response.json()]).toEqual([503, { error: "tokens_unavailable" }]);
  });

  it("is closed without the gateway's word that the admin key was given", async () => {
    for (const headers of [{}, { "x-cog-caller": encodeCaller({ id: "a@b.test", role: "user", tenant: null, admin: false }) }]) {
      expect((await post("/auth/token", `{"email":"a@b.test"}`, headers as Record<string, string>)).status).toBe(403);
    }
  });

  it.each([
    ["{}", "missing_email"],
    [`{"email":7}`, "invalid_email"],
    [`{"email":"ada"}`, "invalid_email"],
    [`{"email":"a@b@c.test"}`, "invalid_email"],
    [`{"email":"a:b@c.test"}`, "invalid_email"],
    [`{"email":"a\\n@c.test"}`, "invalid_email"],
    [`{"email":"a@b.test","role":"guest"}`, "invalid_role"],
    [`{"email":"a@b.test","role":"admin"}`, "invalid_role"],
    [`{"email":"a@b.test","tid":"a/b"}`, "invalid_tid"],
    ["", "invalid_json"],
    ["[]", "invalid_json"],
  ])("refuses %s", async (body, error) => {
    const response = await post("/auth/token", body, admin);
    expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ error })]);
  });
});

describe("GET /.well-known/jwks.json", () => {
  const get = () => SELF.fetch("https://service/.well-known/jwks.json");

  it("gives public members alone, whatever was put in KV", async () => {
    await publish(
      JSON.stringify({
        keys: [
          { ...JSON.parse(env.TEST_PRIVATE_JWK), alg: "RS256", use: "sig" },
          { kty: "oct", kid: "h", k: "AAAA" },
        ],
      }),
    );
    const response = await get();
    const { keys } = await response.json<{ keys: object[] }>();
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([["alg", "e", "kid", "kty", "n", "use"]]);
    expect(response.headers.get("cache-control")).toBe("public, max-age=300");
  });

  it.each([
    [null, "jwks_missing"],
    ["{", "jwks_invalid"],
    [`{"keys":[]}`, "jwks_invalid"],
  ])("is 503 for %s", async (document, error) => {
    await (document === null ? env.KEYS.delete("jwks") : publish(document));
    const response = await get();
    expect([response.status, await response.json()]).toEqual([503, expect.objectContaining({ error })]);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });
});

describe("Turnstile, once it is configured", () => {
  const guest = (body: string, secret = "test-secret") => {
    const request = new Request("https://service/auth/guest", { method: "POST", body, headers: { "cf-connecting-ip": "192.0.2.7" } });
    const bindings = { ...(env as unknown as Env), TURNSTILE_SECRET: secret };
    return worker.fetch?.(
      request as Request<unknown, IncomingRequestCfProperties>,
      bindings,
      createExecutionContext(),
    ) as Promise<Response>;
  };

  it.each(["turnstile_token", "cf-turnstile-response"])("lets in whoever it accepts, by %s", async (name) => {
    expect((await guest(JSON.stringify({ [name]: "good" }))).status).toBe(200);
  });

  it.each([
    ["{}", 400, "turnstile_required"],
    [`{"turnstile_token":"bad"}`, 403, "turnstile_failed"],
    [`{"turnstile_token":7}`, 400, "invalid_turnstile_token"],
    [`{"turnstile_token":"elsewhere"}`, 403, "turnstile_failed"],
    [`{"turnstile_token":"otherwise"}`, 403, "turnstile_failed"],
    [`{"turnstile_token":"unsaid"}`, 403, "turnstile_failed"],
    [`{"turnstile_token":"broken"}`, 503, "turnstile_unavailable"],
    [`{"turnstile_token":"null"}`, 503, "turnstile_unavailable"],
  ])("keeps out %s", async (body, status, error) => {
    const response = await guest(body);
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ error })]);
  });

  it("lets a response in once", async () => {
    expect((await guest('{"turnstile_token":"once-1"}')).status).toBe(200);
    const again = await guest('{"turnstile_token":"once-1"}');
    expect([again.status, await again.json()]).toEqual([
      403,
      { error: "turnstile_failed", detail: expect.stringContaining("used before") },
    ]);
  });

  it("is a fault of ours when the secret is wrong, which keeps everybody out", async () => {
    const response = await guest('{"turnstile_token":"good"}', "another-secret");
    expect([response.status, await response.json()]).toEqual([503, { error: "turnstile_unavailable" }]);
  });
});

// Nothing answers behind the database's binding here: what needs it says so, and nothing is let through in its place.
describe("without the database", () => {
  const anyone = { "x-cog-caller": encodeCaller({ id: "a@b.test", role: "user", tenant: null, admin: false }) };
  const outcome = async (response: Response) => [response.status, (await response.json<{ error?: string }>()).error];
  const user = async () => (await (await post("/auth/token", `{"email":"a@b.test"}`, admin)).json<{ token: string }>()).token;
  const refresh = `cog_rt_${"A".repeat(43)}`;

  it("tokens are minted and verify, and sign-ins are not begun", async () => {
    expect((await verify(await user())).payload).toMatchObject({ sub: "a@b.test", jti: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(await outcome(await post("/auth/token", `{"email":"a@b.test","refresh":true}`, admin))).toEqual([503, "tokens_unavailable"]);
  });

  it("a good token is not called active, nor revoked", async () => {
    const body = JSON.stringify({ token: await user() });
    expect(await outcome(await post("/auth/introspect", body, admin))).toEqual([503, "tokens_unavailable"]);
    expect(await outcome(await post("/auth/revoke", body))).toEqual([503, "tokens_unavailable"]);
    expect(await outcome(await post("/auth/refresh", JSON.stringify({ refresh_token: refresh })))).toEqual([503, "tokens_unavailable"]);
  });

  it("a token that is none is not active, and revoked already", async () => {
    const foreign = await newKeyPair();
    const forged = await signed(goodClaims(), undefined, foreign.privateKey);
    for (const token of ["x", "a.b.c", forged, await signed({ ...goodClaims(), exp: 1 })]) {
      expect(await (await post("/auth/introspect", JSON.stringify({ token }), admin)).json()).toEqual({ active: false });
      expect(await (await post("/auth/revoke", JSON.stringify({ token }))).json()).toEqual({
        ok: true,
        usually_within_s: 180,
        within_s: 420,
      });
    }
  });

  it("forms are read as OAuth sends them", async () => {
    const form = { ...admin, "content-type": "application/x-www-form-urlencoded" };
    expect(await (await post("/auth/introspect", "token=x&token_type_hint=access_token", form)).json()).toEqual({ active: false });
    expect(await outcome(await post("/auth/introspect", "token=x&token=y", form))).toEqual([400, "invalid_request"]);
  });

  it.each([
    ["/auth/introspect", "{}", admin, 400, "missing_token"],
    ["/auth/introspect", '{"token":"x"}', anyone, 403, "forbidden"],
    ["/auth/introspect", '{"token":"x"}', {}, 403, "forbidden"],
    ["/auth/refresh", "{}", {}, 400, "missing_refresh_token"],
    ["/auth/refresh", '{"refresh_token":"x"}', {}, 401, "refresh_token_invalid"],
    ["/auth/revoke", "{}", admin, 400, "invalid_request"],
    ["/auth/revoke", '{"token":"x","subject":"a@b.test"}', admin, 400, "invalid_request"],
    ["/auth/revoke", '{"jti":"x"}', admin, 400, "invalid_jti"],
    ["/auth/revoke", '{"subject":"a@b.test"}', anyone, 403, "forbidden"],
    ["/auth/revoke", '{"family":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11"}', {}, 403, "forbidden"],
    ["/auth/token", '{"email":"a@b.test","refresh":"yes"}', admin, 400, "invalid_refresh"],
  ])("%s refuses %s", async (path, body, headers, status, error) => {
    expect(await outcome(await post(path, body, headers as Record<string, string>))).toEqual([status, error]);
  });
});
