/** What a read asks for beside the file, and what the file is. */
export interface Asked {
  readonly headers: Headers;
  readonly etag: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly uploaded: number;
}

export interface Span {
  readonly offset: number;
  readonly length: number;
}

export type Verdict = { readonly status: 200 | 304 | 412 | 416 } | { readonly status: 206; readonly span: Span };

/** Decides a read in the order of RFC 9110, 13.2.2: conditions first, and then the range. */
export function decideRead(asked: Asked): Verdict {
  const { headers, etag } = asked;
  const ifMatch = headers.get("if-match");
  if (ifMatch !== null ? !lists(ifMatch, etag, false) : newerThan(asked, "if-unmodified-since") === true) {
    return { status: 412 };
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== null ? lists(ifNoneMatch, etag, true) : newerThan(asked, "if-modified-since") === false) {
    return { status: 304 };
  }
  const range = headers.get("range");
  return range === null || !rangeHolds(asked) ? { status: 200 } : readRange(range, asked.size);
}

/** Whether a list of entity tags has this one; a weak tag counts only where bytes do not matter. */
function lists(list: string, etag: string, weak: boolean): boolean {
  const tags = list.split(",").map((tag) => tag.trim());
  return tags.some((tag) => tag === "*" || tag === etag || (weak && tag === `W/${etag}`));
}

/** Whether the file is newer than a header says, in seconds as HTTP has them; undefined without a header that is a date. */
function newerThan({ headers, uploaded }: Asked, name: string): boolean | undefined {
  const date = Date.parse(headers.get(name) ?? "");
  return Number.isNaN(date) ? undefined : Math.floor(uploaded / 1000) > Math.floor(date / 1000);
}

/** If-Range: parts of two files must not be put together. */
function rangeHolds(asked: Asked): boolean {
  const given = asked.headers.get("if-range");
  if (given === null) {
    return true;
  }
  return given.startsWith('"') ? given === asked.etag : newerThan(asked, "if-range") === false;
}

/** Reads one range of bytes. What is no such range, and more than one, is answered with the whole file, as the RFC lets us. */
function readRange(header: string, size: number): Verdict {
  const [, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim()) ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) {
    return { status: 200 };
  }
  if (from !== "" && to !== "" && Number(to) < Number(from)) {
    return { status: 200 };
  }
  const offset = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  return offset >= end ? { status: 416 } : { status: 206, span: { offset, length: end - offset } };
}
