/** What a multipart/form-data body turns out to hold, in the order in which it comes. */
export type FormEvent =
  | { readonly kind: "part"; readonly headers: ReadonlyMap<string, string> }
  /** Bytes of the part before it: a view of what was pushed, good until the next push. */
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

/** The body is not what RFC 7578 says. */
export class FormError extends Error {}

const maxHeaderBytes = 4096;
const maxPaddingBytes = 64;
const maxParts = 32;

const [cr, lf, dash] = [13, 10, 45];
const encoder = new TextEncoder();
const blankLine = encoder.encode("\r\n\r\n");

/**
 * Takes a multipart body apart in pieces of any size and holds none of it but what may be the beginning of a delimiter or of a part's
 * header. It does no I/O, so that it can be tried with every way of cutting a body into pieces.
 */
export class FormParser {
  private readonly delimiter: Uint8Array;
  private state: "preamble" | "delimited" | "headers" | "body" | "closed" = "preamble";
  /** The line end before the first delimiter may be left out: it is as if it had been there. */
  private held: Uint8Array = encoder.encode("\r\n");
  private parts = 0;

  constructor(boundary: string) {
    this.delimiter = encoder.encode(`\r\n--${boundary}`);
  }

  /** Whether the last delimiter was seen: without it the body is cut off. */
  get closed(): boolean {
    return this.state === "closed";
  }

  push(chunk: Uint8Array): FormEvent[] {
    const events: FormEvent[] = [];
    let rest = join(this.held, chunk);
    this.held = new Uint8Array();
    for (;;) {
      const next = this.step(rest, events);
      if (next === undefined) {
        return events;
      }
      rest = next;
    }
  }

  /** Goes on by one element; undefined when it takes more bytes to tell what comes. */
  private step(rest: Uint8Array, events: FormEvent[]): Uint8Array | undefined {
    switch (this.state) {
      case "closed":
        return undefined; // what follows the last delimiter means nothing
      case "delimited":
        return this.afterDelimiter(rest);
      case "headers":
        return this.header(rest, events);
      default:
        return this.body(rest, events);
    }
  }

  private body(rest: Uint8Array, events: FormEvent[]): Uint8Array | undefined {
    const { at, whole } = find(rest, this.delimiter);
    if (this.state === "body" && at > 0) {
      events.push({ kind: "data", bytes: rest.subarray(0, at) });
    }
    if (!whole) {
      return this.hold(rest.subarray(at));
    }
    if (this.state === "body") {
      events.push({ kind: "end" });
    }
    this.state = "delimited";
    return rest.subarray(at + this.delimiter.byteLength);
  }

  /** A delimiter is followed by two dashes, or by padding and a line end. */
  private afterDelimiter(rest: Uint8Array): Uint8Array | undefined {
    let at = 0;
    while (rest[at] === 32 || rest[at] === 9) {
      at++;
    }
    if (at > maxPaddingBytes) {
      throw new FormError("a delimiter is padded without end");
    }
    const [first, second] = [rest[at], rest[at + 1]];
    if (first === undefined || ((first === dash || first === cr) && second === undefined)) {
      return this.hold(rest);
    }
    if (at === 0 && first === dash && second === dash) {
      this.state = "closed";
      return rest.subarray(2);
    }
    if (first !== cr || second !== lf) {
      throw new FormError("a delimiter is followed by something else");
    }
    if (++this.parts > maxParts) {
      throw new FormError(`it has more than ${maxParts} parts`);
    }
    this.state = "headers";
    return rest.subarray(at); // with its line end, so that no header at all looks as some do
  }

  private header(rest: Uint8Array, events: FormEvent[]): Uint8Array | undefined {
    const { at, whole } = find(rest, blankLine);
    if (at > maxHeaderBytes) {
      throw new FormError(`the header of a part is over ${maxHeaderBytes} bytes`);
    }
    if (!whole) {
      return this.hold(rest);
    }
    events.push({ kind: "part", headers: readHeaders(rest.subarray(2, Math.max(2, at))) });
    this.state = "body";
    return rest.subarray(at + blankLine.byteLength);
  }

  private hold(bytes: Uint8Array): undefined {
    this.held = bytes.slice();
    return undefined;
  }
}

/** Where a pattern that begins with a line end stands; when it is not there, where the bytes begin that may be its beginning. */
function find(bytes: Uint8Array, pattern: Uint8Array): { at: number; whole: boolean } {
  for (let at = bytes.indexOf(cr); at >= 0; at = bytes.indexOf(cr, at + 1)) {
    const length = Math.min(pattern.byteLength, bytes.byteLength - at);
    let same = 1;
    while (same < length && bytes[at + same] === pattern[same]) {
      same++;
    }
    if (same === length) {
      return { at, whole: length === pattern.byteLength };
    }
  }
  return { at: bytes.byteLength, whole: false };
}

function join(held: Uint8Array, chunk: Uint8Array): Uint8Array {
  if (held.byteLength === 0) {
    return chunk;
  }
  const all = new Uint8Array(held.byteLength + chunk.byteLength);
  all.set(held);
  all.set(chunk, held.byteLength);
  return all;
}

function readHeaders(bytes: Uint8Array): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of decode(bytes).split("\r\n")) {
    const [, name, value] = /^([\w-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined || headers.has(name.toLowerCase())) {
      if (line === "") {
        continue;
      }
      throw new FormError("a part's header is malformed");
    }
    headers.set(name.toLowerCase(), value.trimEnd());
  }
  return headers;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormError("a part's header is not UTF-8");
  }
}

/** The boundary that a Content-Type gives; undefined when it is of another type. */
export function boundaryOf(contentType: string | null): string | undefined {
  if (contentType === null || !/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
    return undefined;
  }
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))\s*(?:;|$)/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain ?? "";
  if (!/^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)) {
    throw new FormError("its Content-Type has no boundary of 1 to 70 characters");
  }
  return boundary;
}

const parameter = /;[ \t]*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*/y;

/** Reads a part's Content-Disposition as browsers write it: a quote and line ends are escaped by percent, or by a backslash. */
export function readDisposition(header: string | undefined): { name: string | undefined; filename: string | undefined } {
  const [type] = /^form-data[ \t]*/i.exec(header ?? "") ?? [];
  if (header === undefined || type === undefined) {
    throw new FormError("a part has no Content-Disposition of form-data");
  }
  const found = new Map<string, string>();
  parameter.lastIndex = type.length;
  while (parameter.lastIndex < header.length) {
    const [, key, quoted, plain] = parameter.exec(header) ?? [];
    if (key === undefined || found.has(key.toLowerCase())) {
      throw new FormError("a part's Content-Disposition is malformed");
    }
    found.set(key.toLowerCase(), quoted === undefined ? (plain as string) : unquote(quoted));
  }
  return { name: found.get("name"), filename: found.get("filename") };
}

function unquote(quoted: string): string {
  const escapes: Readonly<Record<string, string>> = { '\\"': '"', "%22": '"', "%0a": "\n", "%0d": "\r" };
  return quoted.replace(/\\"|%22|%0[ad]/gi, (text) => escapes[text.toLowerCase()] as string);
}
