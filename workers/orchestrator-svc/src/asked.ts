import { type JsonObject, optionalText, requiredText } from "../../shared/src/body";
import type { Caller } from "../../shared/src/caller";
import { SKILLS } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import { audioOfPart, refuseManyAudios, refuseTooMuchAudio } from "./audio";
import { imageOfPart, refuseMany, refuseTooMuch } from "./image";
import { facing, type Offer, preferring, type Tier, tierOf, tierOfModel } from "./tier";
import { audiosOf, imagesOf, type Message, messageOf, type Part, type Question } from "./wire";

/** A request that has been read: what to ask, and whom. */
export interface Asked {
  readonly question: Question;
  readonly tier: Tier;
  readonly skill: string;
}

const maxSystemChars = 8_000;
const skills: Readonly<Record<string, string>> = SKILLS;

/** A request whose attachments have not been read: whom it is put to depends on them. */
export interface Read extends Asked {
  readonly tier: Offer;
}

/** Reads the body of /api/si/ask. */
export function readSi(body: JsonObject, header: string | null, caller: Caller): Read {
  const tier = preferring(tierOf(header, caller), body);
  const skill = requiredText(body, "skill", 64);
  if (!Object.hasOwn(skills, skill)) {
    throw new Problem(400, "unknown_skill", `The skills are ${Object.keys(skills).join(", ")}.`);
  }
  const own = optionalText(body, "system", maxSystemChars);
  const system = own === undefined ? (skills[skill] as string) : `${skills[skill]}\n\n${own}`;
  return asked([message("system", system), message("user", inputOf(body.input))], tier, skill, body);
}

/** A text, or an object as its JSON. */
function inputOf(input: unknown): string {
  const text = typeof input === "object" && input !== null && !Array.isArray(input) ? JSON.stringify(input) : input;
  if (typeof text !== "string" || text.trim() === "") {
    throw new Problem(400, input === undefined ? "missing_input" : "invalid_input", "input is a text, or an object.");
  }
  return text;
}

/** Reads the body of /api/v1/llm/complete. */
export function readCompletion(body: JsonObject, header: string | null, caller: Caller): Asked {
  const tier = preferring(tierOf(header, caller), body);
  const prompt = requiredText(body, "prompt", tier.maxInputChars);
  const system = optionalText(body, "system", maxSystemChars) ?? (skills.general as string);
  return asked([message("system", system), message("user", prompt)], facing(tier, false), "general", body);
}

/** Reads the body of /v1/chat/completions. What would change the answer and is not there is refused; what would not is passed over. */
export async function readChat(body: JsonObject, header: string | null, caller: Caller): Promise<Asked> {
  const tier = tierOfModel(requiredText(body, "model", 128), header, caller);
  for (const [name, plain] of [
    ["n", 1],
    ["tools", undefined],
    ["functions", undefined],
    ["logprobs", false],
    ["response_format", undefined],
    ["audio", undefined],
  ] as const) {
    const given = body[name];
    if (given !== undefined && given !== null && given !== plain && !isEmptyList(given) && !isTextFormat(given)) {
      throw new Problem(400, `unsupported_${name}`, `${name} is not offered.`);
    }
  }
  if (!Array.isArray(body.messages) || body.messages.length === 0 || body.messages.length > maxMessages) {
    throw new Problem(
      400,
      body.messages === undefined ? "missing_messages" : "invalid_messages",
      `messages is a list of 1 to ${maxMessages} messages.`,
    );
  }
  refuseMany(countParts(body.messages, "image_url"), tier.images); // before the first is taken apart: there may be thousands
  refuseManyAudios(countParts(body.messages, "input_audio"), tier.audio);
  const messages = await Promise.all(body.messages.map((given, at) => chatMessage(given, at, tier)));
  const images = imagesOf(messages);
  refuseTooMuch(images, tier.images);
  refuseTooMuchAudio(audiosOf(messages), tier.audio);
  return asked(messages, facing(tier, images.length > 0), "general", body);
}

const maxMessages = 500;

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function isTextFormat(value: unknown): boolean {
  return (value as { type?: unknown }).type === "text";
}

const roles: Readonly<Record<string, Message["role"]>> = { system: "system", developer: "system", user: "user", assistant: "assistant" };

function countParts(messages: readonly unknown[], type: string): number {
  const parts = messages.flatMap((given) => (given as { content?: unknown } | null)?.content ?? []);
  return parts.filter((part) => (part as { type?: unknown } | null)?.type === type).length;
}

async function chatMessage(given: unknown, at: number, tier: Offer): Promise<Message> {
  const { role, content } = (given ?? {}) as { role?: unknown; content?: unknown };
  const known = typeof role === "string" && Object.hasOwn(roles, role) ? roles[role] : undefined;
  const parts = Array.isArray(content) ? await Promise.all(content.map((part) => partOf(part, tier))) : [content];
  const more = parts.some((part) => typeof part !== "string");
  if (known === undefined || parts.includes(undefined) || (more && (known !== "user" || !Array.isArray(content)))) {
    throw new Problem(400, "invalid_messages", `messages[${at}] has no role or content that is offered.`);
  }
  return messageOf(known, parts as Part[], "\n");
}

/** One part of a message; undefined where it is none. */
async function partOf(given: unknown, tier: Offer): Promise<Part | undefined> {
  const { type, text } = (given ?? {}) as { type?: unknown; text?: unknown };
  if (type === "image_url") {
    return imageOfPart(given, tier.images);
  }
  if (type === "input_audio") {
    return audioOfPart(given, tier.audio);
  }
  if (type === "file") {
    throw new Problem(415, "attachment_unreadable", "A file is stored first, and then named among the attachments of /api/si/ask.");
  }
  return type === "text" && typeof text === "string" ? text : undefined;
}

function message(role: Message["role"], content: string): Message {
  return { role, content };
}

/** The same with other messages, if the tier reads and is shown as much. */
export function lengthened(before: Read, messages: readonly Message[]): Asked {
  checkLength(messages, before.tier);
  const images = imagesOf(messages);
  refuseTooMuch(images, before.tier.images);
  refuseTooMuchAudio(audiosOf(messages), before.tier.audio);
  return { ...before, tier: facing(before.tier, images.length > 0), question: { ...before.question, messages } };
}

function checkLength(messages: readonly Message[], { maxInputChars }: Tier): void {
  const said = audiosOf(messages).reduce((sum, { mostBytes }) => sum + mostBytes, 0);
  const chars = messages.reduce((sum, m) => sum + m.content.length, said);
  if (chars > maxInputChars) {
    throw new Problem(413, "input_too_long", `This tier reads ${maxInputChars} characters, and this is ${chars}.`);
  }
}

function asked<T extends Tier>(messages: Message[], tier: T, skill: string, body: JsonObject): Asked & { readonly tier: T } {
  checkLength(messages, tier);
  if (!messages.some(({ role, content, parts }) => role === "user" && (parts !== undefined || content.trim() !== ""))) {
    throw new Problem(400, "missing_input", "Nothing is asked.");
  }
  const limit = count(body, "max_tokens") ?? count(body, "max_completion_tokens") ?? tier.maxTokens;
  const temperature = temperatureOf(body.temperature);
  const question = { messages, maxTokens: Math.min(limit, tier.maxTokens), ...(temperature === undefined ? {} : { temperature }) };
  return { question, tier, skill };
}

function count(body: JsonObject, name: string): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1) {
    throw new Problem(400, `invalid_${name}`, `${name} is not a whole number above 0.`);
  }
  return value;
}

function temperatureOf(value: unknown): number | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== "number" || !(value >= 0 && value <= 2)) {
    throw new Problem(400, "invalid_temperature", "temperature is not a number from 0 to 2.");
  }
  return value;
}
