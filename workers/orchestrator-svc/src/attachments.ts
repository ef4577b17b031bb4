import type { JsonObject } from "../../shared/src/body";
import { CALLER_HEADER, REQUEST_ID_HEADER } from "../../shared/src/caller";
import { within } from "../../shared/src/deadline";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { type Asked, lengthened, type Read } from "./asked";
import { Audio, audioOf, isAudioType, refuseHeavy, refuseManyAudios } from "./audio";
import type { Env } from "./env.gen";
import { Image, imageOf, isImageType, refuseLarge, refuseMany } from "./image";
import type { Offer } from "./tier";
import { type Message, messageOf, type Part } from "./wire";

/** One file that goes with a question. */
interface Attachment {
  readonly key: string;
  readonly role: "context" | "input" | "image" | "audio";
}

const maxAttachments = 8;
const maxKeyChars = 1_024;
const readTimeoutMs = 10_000;

/** What a model of words can read. */
const readable = /^(text\/|application\/(json|xml|yaml|x-yaml|javascript|sql)\b)/;

/** The question with its attachments: context comes before it, input, images and audio are a part of it. */
export async function attached(call: Call<Env>, asked: Read, body: JsonObject): Promise<Asked> {
  const attachments = attachmentsIn(body);
  if (attachments.length === 0) {
    return lengthened(asked, asked.question.messages);
  }
  refuseMany(attachments.filter(({ role }) => role === "image").length, asked.tier.images);
  refuseManyAudios(attachments.filter(({ role }) => role === "audio").length, asked.tier.audio);
  const files = await Promise.all(attachments.map((attachment) => read(call, attachment, asked.tier)));
  const messages = [...asked.question.messages];
  const last = messages.pop() as Message;
  const spelt = files.map((file, i) => partsOf(attachments[i] as Attachment, file));
  const ofContext = (_: unknown, i: number) => attachments[i]?.role === "context";
  const context = spelt.filter(ofContext).map(userMessage);
  const own = spelt.filter((parts, i) => !ofContext(parts, i)).flat();
  return lengthened(asked, [...messages, ...context, userMessage([last.content, ...own])]);
}

/** What a model is given of a file: its text, what is said in it, or the image after its name. */
function partsOf(attachment: Attachment, file: Part): readonly Part[] {
  const name = `<file name="${nameOf(attachment)}"`;
  if (file instanceof Audio) {
    return [`${name}>`, file, "</file>"];
  }
  return file instanceof Image ? [`${name} />`, file] : [`${name}>\n${file}\n</file>`];
}

function userMessage(parts: readonly Part[]): Message {
  return messageOf("user", parts, "\n\n");
}

function attachmentsIn({ attachments }: JsonObject): readonly Attachment[] {
  if (attachments === undefined || attachments === null) {
    return [];
  }
  if (!Array.isArray(attachments) || attachments.length > maxAttachments) {
    throw new Problem(400, "invalid_attachments", `attachments is a list of up to ${maxAttachments} files.`);
  }
  return attachments.map(attachmentOf);
}

function attachmentOf(given: unknown, at: number): Attachment {
  const { storage = "r2", key, role = "context" } = (given ?? {}) as Record<string, unknown>;
  if (storage !== "r2" || typeof key !== "string" || key === "" || key.length > maxKeyChars || !key.isWellFormed()) {
    throw new Problem(400, "invalid_attachments", `attachments[${at}] does not name a file: {storage: "r2", key, role}.`);
  }
  if (role !== "context" && role !== "input" && role !== "image" && role !== "audio") {
    throw new Problem(400, "invalid_attachments", `attachments[${at}].role is context, input, image or audio.`);
  }
  return { key, role };
}

/** Files-svc knows whose a file is: of another's it says 403, whether it is there or not. */
async function read({ env, request, requestId }: Call<Env>, { key, role }: Attachment, tier: Offer): Promise<Part> {
  const headers = { [CALLER_HEADER]: request.headers.get(CALLER_HEADER) ?? "", [REQUEST_ID_HEADER]: requestId };
  const late = () => new Problem(504, "attachment_timeout", undefined, { headers: { "retry-after": "5" } });
  const response = await within(readTimeoutMs, env.FILES.fetch(`https://service/api/files/${encodeURIComponent(key)}`, { headers }), late);
  const type = response.headers.get("content-type") ?? "";
  const size = Number(response.headers.get("content-length"));
  const kind = kindOf(role, type);
  try {
    refuse(response.status, type, size, kind, tier);
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  const bytes = await within(readTimeoutMs, response.arrayBuffer(), late);
  return readers[kind](bytes, tier);
}

type Kind = "image" | "audio" | "text";

/** What its role says it is, else what it was stored as. */
function kindOf(role: Attachment["role"], type: string): Kind {
  if (role === "image" || role === "audio") {
    return role;
  }
  return isImageType(type) ? "image" : isAudioType(type) ? "audio" : "text";
}

const readers: Readonly<Record<Kind, (bytes: ArrayBuffer, tier: Offer) => Part | Promise<Part>>> = {
  image: (bytes, { images }) => imageOf(new Uint8Array(bytes), images),
  audio: (bytes, { audio }) => audioOf(new Uint8Array(bytes), audio),
  text: (bytes) => textOf(bytes),
};

/** Refuses a file by what is known of it before it is read. */
function refuse(status: number, type: string, size: number, kind: Kind, { images, audio, maxInputChars }: Offer): void {
  const problem = unreachable(status);
  if (problem !== undefined) {
    throw problem;
  }
  if (kind === "image") {
    refuseMany(1, images);
    refuseLarge(size, images);
    return;
  }
  if (kind === "audio") {
    refuseManyAudios(1, audio);
    refuseHeavy(size, audio);
    return;
  }
  if (size > maxInputChars * longestLetter) {
    throw new Problem(413, "input_too_long", `An attachment of ${size} bytes is more than this tier reads.`);
  }
  if (!readable.test(type)) {
    throw new Problem(415, "attachment_unreadable", `A model of words does not read ${type}.`);
  }
}

/** No text has longer ones in UTF-8. */
const longestLetter = 4;

function unreachable(status: number): Problem | undefined {
  if (status === 403) {
    return new Problem(403, "attachment_forbidden", "This is no file of the caller's.");
  }
  if (status === 404) {
    return new Problem(404, "attachment_not_found", "There is no such file.");
  }
  return status === 200 ? undefined : new Problem(503, "attachments_unavailable", undefined, { headers: { "retry-after": "5" } });
}

function textOf(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new Problem(415, "attachment_unreadable", "An attachment is not text in UTF-8.");
  }
}

/** The name that the file was given; a quote in it would end the name early. */
function nameOf({ key }: Attachment): string {
  return key
    .slice(key.lastIndexOf("/") + 1)
    .replace(/^[0-9a-f-]{36}-/, "")
    .replaceAll('"', "'");
}
