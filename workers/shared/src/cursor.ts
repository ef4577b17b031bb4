import { Problem } from "./problem";

/** A cursor is KV's own, with a sum over it and the list it is of: one that was cut, changed or swapped is found out here. */
export async function spellCursor(list: string, kvCursor: string): Promise<string> {
  return `${await sumOf(list, kvCursor)}.${base64url(kvCursor)}`;
}

/**
 * Reads a cursor that this platform gave out for a list. The sum is no secret, and need not be: whatever cursor is asked for, the
 * list is of the prefix that its caller may see.
 */
export async function readCursor(list: string, cursor: string): Promise<string> {
  const [sum, text, ...more] = cursor.split(".");
  const kvCursor = text === undefined || more.length > 0 ? undefined : fromBase64url(text);
  if (kvCursor === undefined || sum !== (await sumOf(list, kvCursor))) {
    throw invalidCursor();
  }
  return kvCursor;
}

export function invalidCursor(cause?: unknown): Problem {
  return new Problem(400, "invalid_cursor", "cursor is not one that was given for this list.", { cause });
}

async function sumOf(list: string, kvCursor: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify([list, kvCursor])));
  return [...new Uint8Array(digest).slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64url(text: string): string | undefined {
  if (!/^[\w-]+$/.test(text)) {
    return undefined;
  }
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
