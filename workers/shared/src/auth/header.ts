/** The protected header of a token of ours: these three members and no other. */
export interface TokenHeader {
  readonly alg: "RS256";
  readonly kid: string;
}

const members = new Set(["alg", "typ", "kid"]);

/**
 * Reads a token's protected header, or undefined for anything we never issue: another algorithm, a key offered by the token itself
 * (jwk, jku, x5u), critical extensions, nested values, or a member given twice (which JSON.parse would hide).
 */
export function parseHeader(token: string): TokenHeader | undefined {
  const text = decodeText(token.slice(0, token.indexOf(".")));
  const header = text === undefined ? undefined : parseFlat(text);
  if (header === undefined || header.alg !== "RS256") {
    return undefined;
  }
  const kid = header.kid;
  const typ = header.typ ?? "JWT";
  if (kid === undefined || kid === "" || kid.length > 128 || typ.toUpperCase() !== "JWT") {
    return undefined;
  }
  return { alg: "RS256", kid };
}

function parseFlat(text: string): Partial<Record<string, string>> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return undefined;
  }
  const entries = Object.entries(value);
  if (entries.some(([name, member]) => !members.has(name) || typeof member !== "string")) {
    return undefined;
  }
  return entries.length === countMembers(text) ? (value as Record<string, string>) : undefined;
}

/** Counts the members of a flat JSON object as they are written: a string that a colon follows is a name. */
function countMembers(text: string): number {
  let count = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) {
    count += match[1] === undefined ? 0 : 1;
  }
  return count;
}

function decodeText(base64url: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(base64url)) {
    return undefined;
  }
  try {
    return atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
}
