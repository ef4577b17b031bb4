import { describe, expect, it } from "vitest";

import { pour } from "./store";

const source = (length: number, size: number) => ({
  head: new Uint8Array(1),
  body: new Blob([new Uint8Array(length - 1)]).stream(),
  size,
});

/** What answers for a failure of either side. */
async function blamed(pouring: Promise<unknown>): Promise<unknown> {
  return pouring.then(
    () => "nobody",
    ({ status, code }: { status: number; code: string }) => [status, code],
  );
}

describe("a body that is poured into a store", () => {
  const whole = (readable: ReadableStream) => new Response(readable).arrayBuffer();

  it("is kept whole", async () => {
    expect((await pour(source(100_000, 100_000), whole)).byteLength).toBe(100_000);
  });

  it.each([
    ["is short", 99_999],
    ["is long", 100_001],
  ])("and %s is its sender's failure", async (_, length) => {
    expect(await blamed(pour(source(length, 100_000), whole))).toEqual([400, "upload_incomplete"]);
  });

  it.each([
    ["at once", async () => Promise.reject(new Error("put: We encountered an internal error. Please try again. (10001)"))],
    [
      "half-way",
      async (readable: ReadableStream) => {
        const reader = readable.getReader();
        await reader.read();
        await reader.cancel(new Error("Network connection lost."));
        throw new Error("Network connection lost.");
      },
    ],
  ])("that fails %s is the store's failure", async (_, keep) => {
    expect(await blamed(pour(source(100_000, 100_000), keep))).toEqual([503, "file_not_stored"]);
  });
});
