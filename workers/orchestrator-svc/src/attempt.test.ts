import { describe, expect, it } from "vitest";

import { attemptStream } from "./attempt";
import type { Provider } from "./provider";
import type { Piece, Question } from "./wire";

const question: Question = { messages: [{ role: "user", content: "hello" }], maxTokens: 50 };
const patient = { firstMs: 60_000, gapMs: 60_000 };

const says = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const ends =
  'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3}}\n\n';

/** A provider whose stream comes in these reads, and then stands still unless its end is among them. */
function providerOf(...reads: string[]): Provider {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const read of reads) {
        controller.enqueue(encoder.encode(read));
      }
    },
  });
  return { whole: () => Promise.reject(new Error("not asked")), stream: async () => body };
}

async function read(provider: Provider, times = patient): Promise<{ pieces: Piece[]; failure: unknown }> {
  const pieces: Piece[] = [];
  try {
    for await (const piece of attemptStream(provider, "m", question, times)) {
      pieces.push(piece);
    }
  } catch (failure) {
    return { pieces, failure };
  }
  return { pieces, failure: undefined };
}

describe("what comes in one read", () => {
  it("is one piece, with its end and what it used", async () => {
    const { pieces } = await read(providerOf(says("One"), `${says(" two")}${says(" three")}${ends}data: [DONE]\n\n`));
    expect(pieces).toEqual([
      { text: "One", finish: undefined, usage: undefined },
      { text: " two three", finish: "stop", usage: { tokensIn: 2, tokensOut: 3 } },
    ]);
  });

  it("is given up to what is wrong in it, and then fails", async () => {
    const { pieces, failure } = await read(providerOf(`${says("One") + says(" two")}data: {"choices":[\n\n${says(" three")}`));
    expect([pieces.map(({ text }) => text), failure]).toEqual([["One two"], expect.objectContaining({ kind: "malformed" })]);
  });

  it("is whole though something is wrong after its end", async () => {
    const { pieces, failure } = await read(providerOf(`${says("One")}${ends}data: {"choices":[\n\n`));
    expect([pieces.map(({ finish }) => finish), failure]).toEqual([["stop"], undefined]);
  });
});

describe("a stream that stands still", () => {
  it.each([
    ["late before its content, however much else comes", ": waiting\n\n", { firstMs: 30, gapMs: 60_000 }, "late"],
    ["stalled after it, though its first content might have taken longer", says("One"), { firstMs: 60_000, gapMs: 30 }, "stalled"],
  ])("is %s", async (_, sent, times, kind) => {
    expect((await read(providerOf(sent), times)).failure).toMatchObject({ kind });
  });
});

describe("a stream that has said all", () => {
  const all = `${says("One")}${ends}data: [DONE]\n\n`;

  it("is read to its end and not broken off, so that its connection can be used again", async () => {
    const controller = new AbortController();
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    void writer.write(new TextEncoder().encode(all));
    const provider = { ...providerOf(), stream: async () => readable };
    for await (const _ of attemptStream(provider, "m", question, patient, controller)) {
    }
    await writer.close(); // it hangs unless somebody reads
    await expect(writer.closed).resolves.toBeUndefined();
    expect(controller.signal.aborted).toBe(false);
  });

  it("and does not end is broken off", async () => {
    const controller = new AbortController();
    const aborted = new Promise((resolve) => controller.signal.addEventListener("abort", resolve));
    for await (const _ of attemptStream(providerOf(all), "m", question, patient, controller)) {
    }
    await aborted;
  });
});
