import { describe, expect, it } from "vitest";

import { optionalText, readBytes, readJsonObject, requiredText } from "./body";

const of = (...chunks: string[]) => {
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(new TextEncoder().encode(chunk));
      }
      controller.close();
    },
  });
  return new Request("https://h.test/", { method: "POST", body });
};

describe("readBytes of a body that nobody measured", () => {
  it("gives what is within the limit, whole", async () => {
    expect(of("ab").headers.has("content-length")).toBe(false);
    expect(new TextDecoder().decode(await readBytes(of("ab", "", "cd"), 4))).toBe("abcd");
  });

  it("stops at the first byte past the limit", async () => {
    await expect(readBytes(of("ab", "cde"), 4)).rejects.toMatchObject({ status: 413, code: "body_too_large" });
  });

  it("counts what a false length hides", async () => {
    const request = new Request(of("abcde"), { headers: { "content-length": "1" } });
    await expect(readBytes(request, 4)).rejects.toMatchObject({ status: 413 });
  });
});

it("takes an empty body for an empty object only where that is allowed", async () => {
  const empty = () => new Request("https://h.test/", { method: "POST" });
  expect(await readJsonObject(empty(), 10, { optional: true })).toEqual({});
  await expect(readJsonObject(empty(), 10)).rejects.toMatchObject({ code: "invalid_json" });
});

it("names the field that is wrong", () => {
  expect(optionalText({}, "a", 3)).toBeUndefined();
  expect(requiredText({ a: "abc" }, "a", 3)).toBe("abc");
  expect(() => requiredText({}, "a", 3)).toThrow("missing_a");
  expect(() => optionalText({ a: "abcd" }, "a", 3)).toThrow("invalid_a");
});
