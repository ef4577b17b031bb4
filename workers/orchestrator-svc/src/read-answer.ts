import { concat } from "../../shared/src/body";
import { Failure, failureOfStatus } from "./failure";

/** The longest answer that is read in one piece. */
const maxAnswerBytes = 4 << 20;
/** How much of an error is looked at. */
const maxErrorBytes = 8 << 10;

/** Throws what any status but 200 means. */
export async function refuseError(response: Response): Promise<void> {
  if (response.status !== 200) {
    const text = new TextDecoder().decode(await readUpTo(response.body, maxErrorBytes));
    throw failureOfStatus(response.status, text, response.headers.get("retry-after"), Date.now());
  }
}

/** Reads an answer in one piece as JSON. */
export async function readJson(response: Response): Promise<unknown> {
  return parseJson(await readAnswer(response));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Failure("malformed", "the answer is not JSON");
  }
}

/** Reads an answer whole. One that says how long it is, and is not packed, is read by the runtime alone. */
async function readAnswer(response: Response): Promise<Uint8Array> {
  const length = response.headers.get("content-length");
  if (length === null || Number(length) > maxAnswerBytes || response.headers.has("content-encoding")) {
    return readUpTo(response.body, maxAnswerBytes);
  }
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new Failure("cut", "the answer broke off", { cause });
  }
}

/** Reads a body of at most max bytes; what is longer is no answer to a bounded question. */
async function readUpTo(body: ReadableStream<Uint8Array> | null, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body ?? []) {
      size += chunk.byteLength;
      if (size > max) {
        throw new Failure("malformed", `the answer is over ${max} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Failure ? error : new Failure("cut", "the answer broke off", { cause: error });
  }
  return concat(chunks, size);
}
