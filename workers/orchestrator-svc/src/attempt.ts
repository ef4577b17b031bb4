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
    const piece = await orLate(times.firstMs, provider.whole(model, question, controller.signal));
    if (piece.text.trim() === "") {
      throw new Failure("empty", "the answer says nothing");
    }
    return piece;
  } catch (error) {
    controller.abort(); // a request that is late must not stay open: a Worker has six
    throw failureOf(error);
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
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  try {
    const body = await orLate(times.firstMs, provider.stream(model, question, controller.signal));
    reader = body.getReader();
    while (!stream.over) {
      const read = await stream.within(reader.read());
      if (read.done) {
        throw new Failure("cut", "the stream ended before its end");
      }
      yield stream.take(read.value);
      stream.taken();
    }
  } catch (error) {
    if (!stream.finished) {
      throw stream.failure(error);
    }
    // All content is there: what is missing is at most what it used.
  } finally {
    stream.end();
    if (stream.over) {
      void readEnd(reader as ReadableStreamDefaultReader<Uint8Array>, controller);
    } else {
      controller.abort();
    }
  }
}

/** How long a stream that has said all may take to end. */
const endMs = 200;

/** Reads what follows the last event, so that the connection can be used again: one that is broken off has to be made anew. Nobody waits for it. */
async function readEnd(reader: ReadableStreamDefaultReader<Uint8Array>, controller: AbortController): Promise<void> {
  const timer = setTimeout(() => controller.abort(), endMs);
  try {
    while (!(await reader.read()).done) {}
  } catch {
    // It was broken off, by its provider or by us.
  }
  clearTimeout(timer);
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

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
  /** What was wrong after the pieces that were given. */
  private broken: unknown;
  private fresh = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer looks again. */
  private due = Number.POSITIVE_INFINITY;
  private late: ((reason: Failure) => void) | undefined;

  constructor({ firstMs, gapMs }: AttemptTimes) {
    this.gapMs = gapMs;
    this.deadline = Date.now() + firstMs;
  }

  /** Waits for as long as content may still be waited for. One timer looks after a whole stream: one for each read would cost more than the read. */
  within<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.late = reject;
      this.watch();
      promise.then(
        (value) => {
          this.late = undefined;
          resolve(value);
        },
        (error) => {
          this.late = undefined;
          reject(error);
        },
      );
    });
  }

  private watch(): void {
    if (this.due <= this.deadline) {
      return; // it looks again in time
    }
    clearTimeout(this.timer);
    this.due = this.deadline;
    this.timer = setTimeout(() => this.look(), Math.max(0, this.deadline - Date.now()));
  }

  private look(): void {
    this.due = Number.POSITIVE_INFINITY;
    if (this.late === undefined) {
      return; // nobody waits: it is the caller who is slow
    }
    if (Date.now() < this.deadline) {
      this.watch();
    } else {
      this.late(new Failure(this.begun ? "stalled" : "late", "nothing in time"));
    }
  }

  /**
   * Gives what these bytes say, as one piece: what arrived together goes on together. What is wrong in their middle is thrown by taken(),
   * when the piece before it is on its way.
   */
  take(bytes: Uint8Array): Piece {
    const all: Writable<Piece> = { text: "", finish: undefined, usage: undefined };
    this.fresh = false;
    try {
      for (const data of this.events.push(bytes)) {
        if (data === "[DONE]") {
          this.over = true;
          break;
        }
        this.add(parseChunk(data), all);
      }
    } catch (error) {
      this.broken = error;
    }
    return all;
  }

  private add({ text, finish, usage }: Piece, all: Writable<Piece>): void {
    all.text += text;
    all.finish = finish ?? all.finish;
    all.usage = usage ?? all.usage;
    this.finished ||= finish !== undefined;
    this.fresh ||= text.trim() !== "";
    this.begun ||= this.fresh;
  }

  /** What was given has been taken: the next is waited for from here, so that a slow reader is not held against the provider. */
  taken(): void {
    if (this.broken !== undefined) {
      throw this.broken;
    }
    if (this.fresh) {
      this.deadline = Date.now() + this.gapMs;
    }
  }

  end(): void {
    clearTimeout(this.timer);
  }

  failure(error: unknown): Failure {
    return error instanceof Failure || !this.begun ? failureOf(error) : new Failure("cut", "the stream broke off", { cause: error });
  }
}

/** Waits at most so long. */
export function orLate<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure("late", `nothing in ${milliseconds} ms`)), Math.max(0, milliseconds));
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
