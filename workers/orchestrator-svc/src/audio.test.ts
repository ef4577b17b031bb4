import { describe, expect, it } from "vitest";

import { beginnings, bytesOf, wavOf } from "../../shared/src/testing/sounds";
import { readChat } from "./asked";
import { Audio, audioOf, isAudioType, refuseManyAudios } from "./audio";
import { audiosOf } from "./wire";

const caller = { id: "ada@example.test", role: "user", tenant: null, admin: false } as const;

describe("what is spelt of audio", () => {
  it("is its facts, and none of its bytes", async () => {
    const bytes = wavOf("secret".repeat(100));
    const part = { type: "input_audio", input_audio: { data: bytes.toBase64(), format: "wav" } };
    const { question } = await readChat({ model: "human", messages: [{ role: "user", content: [part] }] }, null, caller);
    expect(JSON.stringify(question)).not.toContain(bytes.toBase64().slice(60, 80));
    expect(audiosOf(question.messages)[0]).toEqual(expect.objectContaining({ type: "wav", bytes: 644, ms: 75, mostMs: 75 }));
    expect([...((await audiosOf(question.messages)[0]?.file.bytes()) ?? [])]).toEqual([...bytes]);
  });

  it("is what its bytes are, for each kind", async () => {
    const bounds = { max: 1, seconds: 60, bytes: 1_000 };
    const kinds = await Promise.all([...Object.values(beginnings), "\xff\xfb\x90\x64"].map((begins) => audioOf(bytesOf(begins), bounds)));
    expect(kinds.map(({ type }) => type)).toEqual(["mp3", "ogg", "webm", "m4a", "flac", "mp3"]);
    expect(kinds.every((one) => one instanceof Audio && one.mostMs === 60_000)).toBe(true);
    await expect(audioOf(wavOf("x".repeat(957)), bounds)).rejects.toMatchObject({ code: "audio_too_large" });
    await expect(audioOf(bytesOf("\xff\xf1\x50\x80"), bounds)).rejects.toMatchObject({ code: "audio_unreadable" });
    await expect(audioOf(new Uint8Array(), bounds)).rejects.toMatchObject({ code: "audio_unreadable" });
  });

  it.each([
    "audio/wav",
    "audio/x-wav",
    "audio/vnd.wave",
    "audio/mpeg",
    "audio/ogg; codecs=opus",
    "audio/webm",
    "audio/mp4",
    "audio/x-m4a",
    "audio/flac",
  ])("is %s among types that are heard", (type) => {
    expect([isAudioType(type), isAudioType(type.replace("audio", "video"))]).toEqual([true, false]);
  });

  it("is refused at a tier that hears nothing", () => {
    const deaf = { max: 0, seconds: 0, bytes: 0 };
    expect(() => refuseManyAudios(1, deaf)).toThrow(expect.objectContaining({ code: "tier_does_not_hear" }));
    expect(() => refuseManyAudios(0, deaf)).not.toThrow();
  });
});
