import { Problem } from "./problem";

/**
 * Reads at most max bytes. A body that says how long it is is read by the runtime alone, which holds it to that; one that does not is
 * counted as it comes.
 */
export async function readBytes(request: Request, max: number): Promise<Uint8Array<ArrayBuffer>> {
  const length = request.headers.get("content-length");
  refuseLongBody(length, max);
  if (request.body === null) {
    return new Uint8Array();
  }
  if (length !== null) {
    const bytes = new Uint8Array(await request.arrayBuffer());
    refuseLongBody(String(bytes.byteLength), max);
    return bytes;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > max) {
      throw tooLarge(max);
    }
    chunks.push(chunk);
  }
  return concat(chunks, size);
}

/** Refuses a body by its declared length alone. */
export function refuseLongBody(contentLength: string | null, max: number): void {
  if (contentLength !== null && Number(contentLength) > max) {
    throw tooLarge(max);
  }
}

function tooLarge(max: number): Problem {
  return new Problem(413, "body_too_large", `The body is over ${max} bytes.`);
}

/** Chunks of so many bytes together as one. */
export function concat(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a JSON object. Text that does not parse is never taken for {}; an empty body is, where a route says so. */
export async function readJsonObject(request: Request, max: number, options?: { optional: boolean }): Promise<JsonObject> {
  const bytes = await readBytes(request, max);
  if (bytes.byteLength === 0 && options?.optional === true) {
    return {};
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    throw new Problem(400, "invalid_json", "The body is not JSON in UTF-8.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Problem(400, "invalid_json", "The body is not a JSON object.");
  }
  return value as JsonObject;
}

/** Takes a text of 1 to max characters from a body, or undefined when it is not given. */
export function optionalText(body: JsonObject, name: string, max: number): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== "string" || value === "" || value.length > max) {
    throw new Problem(400, `invalid_${name}`, `${name} is not a text of 1 to ${max} characters.`);
  }
  return value;
}

/** Takes a text that must be given. */
export function requiredText(body: JsonObject, name: string, max: number): string {
  const value = optionalText(body, name, max);
  if (value === undefined) {
    throw new Problem(400, `missing_${name}`, `${name} is not given.`);
  }
  return value;
}
