import { Failure, failureOf } from "./failure";
import type { Provider } from "./provider";
import { EventReader } from "./sse";
import { type Piece, parseChunk, type Question } from "./wire";

/** How long one attempt may take, in milliseconds. */
export interface AttemptTimes {
  /** Until the whole answer, or until a stream's first content. */
  readonly firstMs: number;
  /** Between two pieces of a stream's content. */
  readonly gapMs: number;
}

/** Asks once for an answer in one piece. Whoever gives the controller can end it early. */
export async function attemptWhole(
  provider: Provider,
  model: string,
  question: Question,
  times: AttemptTimes,
  controller = new AbortController(),
): Promise<Piece> {
  try {
    const piece = await orLate(times.firstMs, provider.whole(model, question, controller.signal), "late");
    if (piece.text.trim() === "") {
      throw new Failure("empty", "the answer says nothing");
    }
    return piece;
  } catch (error) {
    throw failureOf(error);
  } finally {
    controller.abort(); // a request that is late must not stay open: a Worker has six
  }
}

/**
 * Asks once for a stream and gives its pieces as they come. It counts as begun with the first content, not with the first byte: headers,
 * comments and a role are no answer. It is whole when the provider has said so; a stream that only ends is one that broke off.
 */
export async function* attemptStream(
  provider: Provider,
  model: string,
  question: Question,
  times: AttemptTimes,
  controller = new AbortController(),
): AsyncGenerator<Piece, void, void> {
  const stream = new Progress(times);
  try {
    const body = await orLate(times.firstMs, provider.stream(model, question, controller.signal), "late");
    const reader = body.getReader();
    while (!stream.over) {
      const read = await orLate(stream.patience(), reader.read(), stream.begun ? "stalled" : "late");
      if (read.done) {
        throw new Failure("cut", "the stream ended before its end");
      }
      yield* stream.take(read.value);
    }
  } catch (error) {
    if (!stream.finished) {
      throw stream.failure(error);
    }
    // All content is there: what is missing is at most what it used.
  } finally {
    controller.abort();
  }
}

/** How far a stream has come. */
class Progress {
  /** Content has come. */
  begun = false;
  /** The provider has said why the answer ends. */
  finished = false;
  /** Nothing more will come. */
  over = false;
  private readonly events = new EventReader();
  private readonly gapMs: number;
  private deadline: number;

  constructor({ firstMs, gapMs }: AttemptTimes) {
    this.gapMs = gapMs;
    this.deadline = Date.now() + firstMs;
  }

  /** How long content may still be waited for. */
  patience(): number {
    return this.deadline - Date.now();
  }

  /** Gives the pieces that these bytes complete. */
  *take(bytes: Uint8Array): Generator<Piece, void, void> {
    let content = false;
    for (const data of this.events.push(bytes)) {
      if (data === "[DONE]") {
        this.over = true;
        return;
      }
      const piece = parseChunk(data);
      this.finished ||= piece.finish !== undefined;
      content ||= piece.text.trim() !== "";
      this.begun ||= content;
      yield piece;
    }
    if (content) {
      this.deadline = Date.now() + this.gapMs; // from here, so that a slow reader is not held against the provider
    }
  }

  failure(error: unknown): Failure {
    return error instanceof Failure || !this.begun ? failureOf(error) : new Failure("cut", "the stream broke off", { cause: error });
  }
}

/** Waits at most so long. */
function orLate<T>(milliseconds: number, promise: Promise<T>, kind: "late" | "stalled"): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure(kind, `nothing in ${milliseconds} ms`)), Math.max(0, milliseconds));
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
