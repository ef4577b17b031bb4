import { env } from "cloudflare:test";

const encoder = new TextEncoder();

export const kid = "test-k1";

/** Publishes the test's verification key, or any other document. */
export function publish(document: string = env.TEST_JWKS): Promise<void> {
  return env.KEYS.put("jwks", document);
}

export function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

export function goodClaims(now = seconds()): Record<string, unknown> {
  return { iss: env.TEST_ISSUER, sub: "a@example.test", email: "A@example.test", role: "user", iat: now, exp: now + 600 };
}

export const goodHeader = { alg: "RS256", typ: "JWT", kid };

/** Signs header and claims exactly as given; the header may be text, so that it can be malformed. */
export async function signed(claims: Record<string, unknown>, header: object | string = goodHeader, key?: CryptoKey): Promise<string> {
  const head = typeof header === "string" ? header : JSON.stringify(header);
  const input = `${base64url(head)}.${base64url(JSON.stringify(claims))}`;
  const signature = await crypto.subtle.sign("RSASSA-PKCS1-v1_5", key ?? (await testKey()), encoder.encode(input));
  return `${input}.${base64url(new Uint8Array(signature))}`;
}

/** What an attacker makes of a published key: an HMAC under its public text. */
export async function hmacSigned(claims: Record<string, unknown>, secret: string): Promise<string> {
  const input = `${base64url(JSON.stringify({ ...goodHeader, alg: "HS256" }))}.${base64url(JSON.stringify(claims))}`;
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `${input}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(input))))}`;
}

export function unsigned(claims: Record<string, unknown>): string {
  return `${base64url(JSON.stringify({ ...goodHeader, alg: "none" }))}.${base64url(JSON.stringify(claims))}.`;
}

export function newKeyPair(modulusLength = 2048): Promise<CryptoKeyPair> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength, publicExponent: new Uint8Array([1, 0, 1]) };
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

export async function publicJwk(pair: CryptoKeyPair, id: string): Promise<object> {
  return { ...((await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey), kid: id, alg: "RS256", use: "sig" };
}

function testKey(): Promise<CryptoKey> {
  const jwk = JSON.parse(env.TEST_PRIVATE_JWK) as JsonWebKey;
  return crypto.subtle.importKey("jwk", jwk, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, ["sign"]);
}

function base64url(data: string | Uint8Array): string {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
