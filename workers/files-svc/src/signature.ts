import { Problem } from "../../shared/src/problem";
import type { Env } from "./env.gen";

/** What a URL allows: one method on one key, until a time, and of an upload its type alone. */
export interface Grant {
  readonly method: "GET" | "PUT";
  readonly key: string;
  /** Seconds since 1970. */
  readonly expires: number;
  /** Null of a GET: the file has its own. */
  readonly type: string | null;
}

const encoder = new TextEncoder();

/** The first key signs; the one before it is still believed, so that a change of keys breaks no URL that is in somebody's hands. */
function secretsOf(env: Env): string[] {
  return [env.FILES_SIGNING_KEY, env.FILES_SIGNING_KEY_BEFORE].filter((secret) => secret !== undefined && secret !== "") as string[];
}

export async function sign(env: Env, grant: Grant): Promise<string> {
  const [secret] = secretsOf(env);
  if (secret === undefined) {
    throw new Problem(501, "signing_unconfigured", "This platform signs no URLs: FILES_SIGNING_KEY is not set.");
  }
  const mac = await crypto.subtle.sign("HMAC", await keyOf(secret), textOf(grant));
  return btoa(String.fromCharCode(...new Uint8Array(mac)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** Whether one of our keys signed this grant. The runtime compares in constant time. */
export async function verify(env: Env, grant: Grant, signature: string): Promise<boolean> {
  if (!/^[\w-]{43}$/.test(signature)) {
    return false;
  }
  const mac = Uint8Array.from(atob(signature.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  for (const secret of secretsOf(env)) {
    if (await crypto.subtle.verify("HMAC", await keyOf(secret), mac, textOf(grant))) {
      return true;
    }
  }
  return false;
}

/** As a list in JSON, so that no two grants are one text; the first element keeps it apart from whatever else is ever signed. */
function textOf({ method, key, expires, type }: Grant): Uint8Array {
  return encoder.encode(JSON.stringify(["cognomega-file-url/1", method, key, expires, type]));
}

function keyOf(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}
