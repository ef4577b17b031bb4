import { priceOf, priceOfAudio } from "../../shared/src/money/micro";
import { audiosOf, type Question, tokensOfImages } from "./wire";

/** What a message costs beside its text: its role and the marks around it. */
const marks = 16;

/**
 * The most that a question may cost, in micro-credits: a token is a byte at least, an image as many tokens as the contract says, audio as
 * long and as full of words as it can be, and the answer is as long as it may be. A model that goes on where another broke off reads what
 * that one wrote, but that is not charged again.
 */
export function mostOf(question: Question): number {
  const bytes = question.messages.reduce((sum, { content }) => sum + bytesOf(content) + marks, 0);
  const audios = audiosOf(question.messages);
  const said = audios.reduce((sum, { mostBytes }) => sum + mostBytes, 0);
  const heard = priceOfAudio(audios.reduce((sum, { mostMs }) => sum + mostMs, 0));
  return priceOf(bytes + said + tokensOfImages(question) + question.maxTokens) + heard;
}

/** The question with as long an answer as so many micro-credits pay for; undefined where that is no shorter one, or too short to be of use. */
export function shortened<Q extends Question>(question: Q, micro: number, minTokens: number): Q | undefined {
  const over = mostOf(question) - micro;
  const tokens = Math.ceil(over / priceOf(1));
  const maxTokens = question.maxTokens - tokens;
  return tokens > 0 && maxTokens >= Math.min(minTokens, question.maxTokens) ? { ...question, maxTokens } : undefined;
}

/** A character outside of ASCII is three bytes at most for each unit that length counts. */
function bytesOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is looked for.
  return /^[\u0000-\u007f]*$/.test(text) ? text.length : new TextEncoder().encode(text).byteLength;
}
