import { describe, expect, it } from "vitest";

import { readChat, readSi } from "./asked";
import { tierOf } from "./tier";

const caller = { id: "a@b.test", role: "user", tenant: null, admin: false } as const;
const most = tierOf("human", caller).maxTokens;
const messages = [{ role: "user", content: "hello" }];

describe("how much a model may write", () => {
  it.each([
    ["more than the tier has", most * 1_000, most],
    ["less", 5, 5],
    ["nothing", undefined, most],
  ])("defect 7: caps what a caller asks for: %s", async (_, asked, granted) => {
    const body = { model: "human", messages, ...(asked === undefined ? {} : { max_tokens: asked }) };
    expect((await readChat(body, null, caller)).question.maxTokens).toBe(granted);
    expect(
      readSi({ skill: "explain", input: "hello", ...(asked === undefined ? {} : { max_tokens: asked }) }, "human", caller).question
        .maxTokens,
    ).toBe(granted);
  });
});
