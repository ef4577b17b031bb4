import { Audio } from "./audio";
import { Failure } from "./failure";
import { type Detail, Image } from "./image";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  /** All its text. */
  readonly content: string;
  /** Its text, its images and its audio in their order, where it has more than text. */
  readonly parts?: readonly Part[];
}

export type Part = string | Image | Audio;

/** A message of these parts, which what lies between them joins to all its text. */
export function messageOf(role: Message["role"], parts: readonly Part[], between: string): Message {
  const texts = parts.filter((part) => typeof part === "string");
  return { role, content: texts.join(between), ...(texts.length < parts.length ? { parts } : {}) };
}

/** What a model is asked. */
export interface Question {
  readonly messages: readonly Message[];
  readonly maxTokens: number;
  readonly temperature?: number;
}

export interface Usage {
  readonly tokensIn: number;
  readonly tokensOut: number;
}

/** Part of an answer: some text, why it ended, what it used; any of them may be missing. */
export interface Piece {
  readonly text: string;
  readonly finish: string | undefined;
  readonly usage: Usage | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** Parses an answer in one piece: OpenAI's format, or the older one of Workers AI. */
export function parseWhole(value: unknown): Piece {
  const body = object(value, "the answer");
  if (body.choices === undefined && body.response !== undefined) {
    return { text: text(body.response, "response"), finish: undefined, usage: usageOf(body) };
  }
  const choice = object(list(body.choices, "choices")[0], "choices[0]");
  const message = object(choice.message, "message");
  return { text: text(message.content, "content"), finish: finishOf(choice), usage: usageOf(body) };
}

/** Parses the data of one event of a stream. */
export function parseChunk(data: string): Piece {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new Failure("malformed", "an event is not JSON");
  }
  const body = object(value, "an event");
  if (body.error !== undefined) {
    throw new Failure("failed", "an error in the stream");
  }
  if (body.choices === undefined) {
    return { text: text(body.response, "response"), finish: undefined, usage: usageOf(body) };
  }
  const choices = list(body.choices, "choices");
  if (choices.length === 0) {
    return { text: "", finish: undefined, usage: usageOf(body) };
  }
  const choice = object(choices[0], "choices[0]");
  return { text: text(object(choice.delta, "delta").content, "content"), finish: finishOf(choice), usage: usageOf(body) };
}

function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Failure("malformed", `${what} is not an object`);
  }
  return value as Json;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw new Failure("malformed", `${what} is not a list`);
  }
  return value;
}

/** A chunk without content says something else: the role, or that it ends. */
function text(value: unknown, what: string): string {
  if (value === undefined || value === null) {
    return "";
  }
  if (typeof value !== "string") {
    throw new Failure("malformed", `${what} is not a text`);
  }
  return value;
}

function finishOf(choice: Json): string | undefined {
  return typeof choice.finish_reason === "string" ? choice.finish_reason : undefined;
}

/** More than any model takes in one call: a number above it is a mistake, and is not charged for. */
const maxTokens = 10_000_000;

/** What was used, where the provider says so believably; Groq says it in a place of its own while streaming. */
function usageOf(body: Json): Usage | undefined {
  const given = (body.usage ?? (body.x_groq as Json | null | undefined)?.usage) as Json | null | undefined;
  const tokensIn = given?.prompt_tokens;
  const tokensOut = given?.completion_tokens;
  return isCount(tokensIn) && isCount(tokensOut) && tokensIn + tokensOut > 0 ? { tokensIn, tokensOut } : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= maxTokens;
}

const isShown = (part: Part): part is string | Image => !(part instanceof Audio);

/** A message as all providers take it: with images it is in parts. Audio has been heard before. In what detail is said where the model's provider tells details apart. */
export function spell({ role, content, parts }: Message, detail: Detail | undefined): object {
  const shown = (image: Image) => ({ url: image.url, ...(detail === undefined ? {} : { detail: image.detail ?? detail }) });
  const spelt = (part: string | Image) =>
    part instanceof Image ? { type: "image_url", image_url: shown(part) } : { type: "text", text: part };
  return { role, content: parts === undefined ? content : parts.filter(isShown).map(spelt) };
}

export function imagesOf(messages: readonly Message[]): readonly Image[] {
  return messages.flatMap(({ parts = [] }) => parts.filter((part) => part instanceof Image));
}

/** What a question has to be heard before it is asked. */
export function audiosOf(messages: readonly Message[]): readonly Audio[] {
  return messages.flatMap(({ parts = [] }) => parts.filter((part) => part instanceof Audio));
}

/** The most that a question's images come to: nobody says what they came to until a model has seen them. */
export function tokensOfImages({ messages }: Question): number {
  return imagesOf(messages).reduce((sum, { tokens }) => sum + tokens, 0);
}

/** Four characters a token, where nobody counted. */
export function estimateTokens(...texts: readonly string[]): number {
  return texts.reduce((sum, t) => sum + Math.ceil(t.length / 4), 0);
}

/** What a question and its answer come to where no provider counted, or not all of it. */
export function estimate(question: Question, text: string): Usage {
  const tokensIn = estimateTokens(...question.messages.map((m) => m.content)) + tokensOfImages(question);
  return { tokensIn, tokensOut: estimateTokens(text) };
}
