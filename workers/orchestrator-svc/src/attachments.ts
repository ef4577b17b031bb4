import type { JsonObject } from "../../shared/src/body";
import { CALLER_HEADER, REQUEST_ID_HEADER } from "../../shared/src/caller";
import { within } from "../../shared/src/deadline";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { type Asked, lengthened } from "./asked";
import type { Env } from "./env.gen";
import type { Message } from "./wire";

/** One file that goes with a question. */
interface Attachment {
  readonly key: string;
  readonly role: "context" | "input";
}

const maxAttachments = 8;
const maxKeyChars = 1_024;
const readTimeoutMs = 10_000;

/** What a model of words can read. */
const readable = /^(text\/|application\/(json|xml|yaml|x-yaml|javascript|sql)\b)/;

/** The question with its attachments: context comes before it, input is a part of it. */
export async function attached(call: Call<Env>, asked: Asked, body: JsonObject): Promise<Asked> {
  const attachments = attachmentsIn(body);
  if (attachments.length === 0) {
    return asked;
  }
  const most = asked.tier.maxInputChars * 4; // no text has longer letters in UTF-8
  const texts = await Promise.all(attachments.map((attachment) => read(call, attachment, most)));
  const spelt = (role: Attachment["role"]) =>
    attachments.flatMap((attachment, i) => (attachment.role === role ? [`<file name="${nameOf(attachment)}">\n${texts[i]}\n</file>`] : []));
  const messages = [...asked.question.messages];
  const last = messages.pop() as Message;
  const context = spelt("context").map((content): Message => ({ role: "user", content }));
  const content = [last.content, ...spelt("input")].join("\n\n");
  return lengthened(asked, [...messages, ...context, { ...last, content }]);
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
  if (role === "image") {
    throw new Problem(415, "attachment_unreadable", `attachments[${at}] is an image, and no model of this platform is shown images yet.`);
  }
  if (role === "audio") {
    throw new Problem(415, "attachment_unreadable", `attachments[${at}] is audio, and no model of this platform hears yet.`);
  }
  if (role !== "context" && role !== "input") {
    throw new Problem(400, "invalid_attachments", `attachments[${at}].role is context or input.`);
  }
  return { key, role };
}

/** Files-svc knows whose a file is: of another's it says 403, whether it is there or not. */
async function read({ env, request, requestId }: Call<Env>, { key }: Attachment, most: number): Promise<string> {
  const headers = { [CALLER_HEADER]: request.headers.get(CALLER_HEADER) ?? "", [REQUEST_ID_HEADER]: requestId };
  const late = () => new Problem(504, "attachment_timeout", undefined, { headers: { "retry-after": "5" } });
  const response = await within(readTimeoutMs, env.FILES.fetch(`https://service/api/files/${encodeURIComponent(key)}`, { headers }), late);
  const type = response.headers.get("content-type") ?? "";
  const size = Number(response.headers.get("content-length"));
  if (response.status !== 200 || !readable.test(type) || size > most) {
    await response.body?.cancel();
    throw refusal(response.status, type, size, most);
  }
  return textOf(await within(readTimeoutMs, response.arrayBuffer(), late));
}

function refusal(status: number, type: string, size: number, most: number): Problem {
  if (status === 403) {
    return new Problem(403, "attachment_forbidden", "This is no file of the caller's.");
  }
  if (status === 404) {
    return new Problem(404, "attachment_not_found", "There is no such file.");
  }
  if (status !== 200) {
    return new Problem(503, "attachments_unavailable", undefined, { headers: { "retry-after": "5" } });
  }
  return size > most
    ? new Problem(413, "input_too_long", `An attachment of ${size} bytes is more than this tier reads.`)
    : new Problem(415, "attachment_unreadable", `A model of words does not read ${type}.`);
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
