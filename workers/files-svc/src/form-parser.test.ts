import { describe, expect, it } from "vitest";

import { must, randomOf } from "../../shared/src/testing/random";
import { boundaryOf, FormError, FormParser, readDisposition } from "./form-parser";

const encoder = new TextEncoder();
const latin = new TextDecoder("latin1");
const bytesOf = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

interface Part {
  headers: Record<string, string>;
  body: string;
}

/** Parses a body that is cut at these places. */
function parse(boundary: string, body: Uint8Array, cuts: readonly number[] = []): { parts: Part[]; closed: boolean } {
  const parser = new FormParser(boundary);
  const parts: (Part & { ended: boolean })[] = [];
  const bounds = [0, ...[...cuts].sort((a, b) => a - b), body.byteLength];
  for (const [i, start] of bounds.slice(0, -1).entries()) {
    for (const event of parser.push(body.slice(start, bounds[i + 1]))) {
      const last = parts.at(-1);
      if (event.kind === "part") {
        parts.push({ headers: Object.fromEntries(event.headers), body: "", ended: false });
      } else if (last === undefined || last.ended) {
        throw new Error(`${event.kind} outside a part`);
      } else if (event.kind === "data") {
        last.body += latin.decode(event.bytes);
      } else {
        last.ended = true;
      }
    }
  }
  must(!parser.closed || parts.every(({ ended }) => ended), () => "closed within a part");
  return { parts: parts.map(({ headers, body }) => ({ headers, body })), closed: parser.closed };
}

const form = (boundary: string, ...bodies: string[]) =>
  bytesOf(
    `${bodies.map((body) => `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n${body}\r\n`).join("")}--${boundary}--\r\n`,
  );

describe("a form", () => {
  it("comes out of any cut as it went in, whatever looks like its boundary", () => {
    const random = randomOf(5);
    const boundaries = ["x", "--", "-----------------------------7da24f2e50046", "a'()+_,-./:=? b", "0".repeat(70)];
    for (let round = 0; round < 4000; round++) {
      const boundary = boundaries[random(boundaries.length)] as string;
      const scraps = [
        "\r",
        "\n",
        "\r\n",
        "-",
        "--",
        `\r\n--${boundary.slice(0, -1)}`,
        `--${boundary}`,
        `\n--${boundary}`,
        "\0",
        "\xff",
        "data",
        boundary,
      ];
      const bodies = Array.from({ length: random(4) }, () => {
        const body = Array.from({ length: random(9) }, () => scraps[random(scraps.length)]).join("");
        // What is a delimiter cannot be inside a part: no client may choose such a boundary.
        return `\r\n${body}`.includes(`\r\n--${boundary}`) || `${body}\r\n--${boundary}`.indexOf(`\r\n--${boundary}`) < body.length
          ? ""
          : body;
      });
      const body = form(boundary, ...bodies);
      const cuts = random(3) === 0 ? Array.from(body.keys()) : Array.from({ length: random(6) }, () => random(body.byteLength + 1));
      const { parts, closed } = parse(boundary, body, cuts);
      must(closed, () => `not closed: ${JSON.stringify([boundary, bodies, cuts])}`);
      must(JSON.stringify(parts.map((part) => part.body)) === JSON.stringify(bodies), () =>
        JSON.stringify([boundary, bodies, parts, cuts]),
      );
    }
  });

  it("is never closed by a part of itself", () => {
    const body = form("edge", "one\r\n--edg", "two");
    const end = body.byteLength - 2; // the line end after it may be left out
    for (let length = 0; length < end; length++) {
      expect(parse("edge", body.slice(0, length)).closed).toBe(false);
    }
    expect(parse("edge", body.slice(0, end)).closed).toBe(true);
  });

  it("of random bytes is refused or not closed, and never hangs", () => {
    const random = randomOf(6);
    const tokens = ["--b", "\r\n--b", "--", "\r\n", "\r\n\r\n", ": ", "content-disposition: form-data", "a", "\xfe", "\t"];
    const seen = { refused: 0, closed: 0, open: 0 };
    for (let round = 0; round < 4000; round++) {
      const body = bytesOf(Array.from({ length: random(14) }, () => tokens[random(tokens.length)]).join(""));
      try {
        seen[parse("b", body, [random(body.byteLength + 1)]).closed ? "closed" : "open"]++;
      } catch (error) {
        must(error instanceof FormError, () => String(error));
        seen.refused++;
      }
    }
    expect(Math.min(seen.refused, seen.closed, seen.open)).toBeGreaterThan(50);
  });

  it("may have a preamble, padding, and an epilogue", () => {
    const body = bytesOf("hello\r\n--b \t\r\nA: 1\r\n\r\nx\r\n--b--\r\nbye\r\n--b\r\n");
    expect(parse("b", body)).toEqual({ parts: [{ headers: { a: "1" }, body: "x" }], closed: true });
  });

  it.each([
    ["a boundary that goes on", "--bc\r\n\r\n\r\n--b--"],
    ["a header without a name", "--b\r\n: x\r\n\r\n\r\n--b--"],
    ["a header twice", "--b\r\na: x\r\nA: y\r\n\r\n\r\n--b--"],
    ["a header over lines", "--b\r\na: x\r\n y\r\n\r\n\r\n--b--"],
    ["a header that is not UTF-8", "--b\r\na: \xff\r\n\r\n\r\n--b--"],
    ["a header without end", `--b\r\na: ${"x".repeat(5000)}`],
    ["padding without end", `--b${" ".repeat(100)}`],
    ["too many parts", "--b\r\n\r\n\r\n".repeat(33)],
  ])("with %s is refused", (_, body) => {
    expect(() => parse("b", bytesOf(body))).toThrow(FormError);
  });
});

describe("a boundary", () => {
  it.each([
    ["multipart/form-data; boundary=abc", "abc"],
    ['Multipart/Form-Data; charset=utf-8; boundary="a b?c"', "a b?c"],
    ["multipart/form-data;boundary=x; y=z", "x"],
    ["multipart/mixed; boundary=x", undefined],
    ["application/json", undefined],
    [null, undefined],
  ])("of %j is %j", (header, boundary) => expect(boundaryOf(header)).toBe(boundary));

  it.each([
    "multipart/form-data",
    "multipart/form-data; boundary=",
    `multipart/form-data; boundary=${"x".repeat(71)}`,
    'multipart/form-data; boundary="a "',
  ])("of %j is refused", (header) => expect(() => boundaryOf(header)).toThrow(FormError));
});

describe("a Content-Disposition", () => {
  it.each([
    ['form-data; name="file"; filename="a b.txt"', "file", "a b.txt"],
    ["form-data; name=file; filename=a.txt", "file", "a.txt"],
    ['form-data; name="f"; filename="say %22hi%22.txt"', "f", 'say "hi".txt'],
    ['form-data; name="f"; filename="say \\"hi\\".txt"', "f", 'say "hi".txt'],
    ['form-data; name="f"; filename="C:\\dir\\a.txt"', "f", "C:\\dir\\a.txt"],
    ['form-data; name="f"; filename="a%0D%0Ab"', "f", "a\r\nb"],
    ['form-data; name="f"; filename="%2e%2e"', "f", "%2e%2e"],
    ['form-data; name="f"; filename="größe.txt"', "f", "größe.txt"],
    ['form-data; name="prompt"', "prompt", undefined],
  ])("of %j names %j and %j", (header, name, filename) => expect(readDisposition(header)).toEqual({ name, filename }));

  it.each([
    undefined,
    "attachment; name=a",
    'form-data; name="a',
    "form-data; name",
    'form-data; name="a"; name="b"',
    'form-data; name="a" x',
  ])("of %j is refused", (header) => expect(() => readDisposition(header)).toThrow(FormError));

  it("takes a long one in little time, whatever it holds", () => {
    const header = `form-data; name="${"\\".repeat(4001)}`;
    expect(() => readDisposition(header)).toThrow(FormError);
  });
});

it("leaves text as it is", () => {
  expect(parse("b", encoder.encode('--b\r\nContent-Disposition: form-data; name="ü"\r\n\r\n\r\n--b--')).parts).toEqual([
    { headers: { "content-disposition": 'form-data; name="ü"' }, body: "" },
  ]);
});
