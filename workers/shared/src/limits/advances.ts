import { ALLOWANCES } from "../contract.gen";
import type { Free, Told } from "./advance";
import { Ahead } from "./ahead";
import type { Desk } from "./desk";
import type { Admission, Heard } from "./limits";
import type { Subject } from "./subject";

const { advanceMs } = ALLOWANCES.keeping;

/** Whoever asked so often within an advance's time takes in advance. */
const often = 2;

/** Of so many subjects it is remembered when they asked; of who is forgotten each question is decided by its limiter. */
const remembered = 10_000;

/** Between the tries to give back, in milliseconds; what is not heard at all is let go when its hold ends. */
const pausesMs = [50, 500, 3_000, 0];

/** Who asks, for as long as a request lives. */
export interface Asking {
  readonly desk: Desk;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** What a question has taken of an advance. */
export interface Taken {
  readonly standing: Pick<Admission, "rate" | "remaining" | "resetMs"> | undefined;
  readonly subject: Subject;
  readonly ahead: Ahead;
  settle(asking: Asking, micro: number): Promise<void>;
  undo(): void;
}

/**
 * What an isolate has taken in advance, by limiter. It belongs to no request: what one waits for, no other does, and what one that is cut
 * off has left undone the next does.
 */
export class Advances {
  readonly #aheads = new Map<string, Ahead>();
  readonly #asked = new Map<string, readonly number[]>();

  /** Takes what a question may cost, of each subject that asks often and has enough; undefined where its limiter is to decide. */
  async take(asking: Asking, subjects: readonly Subject[], wanted: Free): Promise<readonly (Taken | undefined)[]> {
    const nowMs = Date.now();
    const taken = subjects.map((subject) => this.#take(subject, wanted, nowMs));
    const lacking = subjects.filter(
      (subject, i) => this.#often(subject, nowMs) && taken[i] === undefined && this.#opened(asking, subject, nowMs).speaks(nowMs),
    );
    if (lacking.length > 0) {
      await this.#more(asking, lacking, wanted, nowMs);
    }
    const due = subjects.filter(({ name }, i) => taken[i] !== undefined && this.#aheads.get(name)?.due(nowMs) === true);
    if (due.length > 0) {
      asking.waitUntil(this.#more(asking, due, wanted, nowMs));
    }
    return subjects.map((subject, i) => taken[i] ?? (lacking.includes(subject) ? this.#take(subject, wanted, Date.now()) : undefined));
  }

  /** Gives back what is free of what was taken of a subject, so that it can be asked for; false where nothing is, or where it is not to be had. */
  async giveBack(asking: Asking, subject: Subject): Promise<boolean> {
    const ahead = this.#aheads.get(subject.name);
    const nowMs = Date.now();
    if (ahead === undefined || ahead.waits || (ahead.free.micro <= 0 && ahead.free.weight <= 0)) {
      return false;
    }
    await this.#tell(asking, [[subject, ahead, ahead.back(nowMs)]]);
    return true;
  }

  /** Weights that were used of what was taken of a subject, and of which its limiter has not heard. */
  unsaid({ name }: Subject): number {
    return this.#aheads.get(name)?.unsaid ?? 0;
  }

  #take(subject: Subject, wanted: Free, nowMs: number): Taken | undefined {
    const ahead = this.#aheads.get(subject.name);
    if (ahead?.take(wanted, nowMs) !== true) {
      return;
    }
    return {
      subject,
      ahead,
      standing: ahead.standing(nowMs),
      settle: (asking, micro) => this.#settle(asking, subject, ahead, wanted.micro, micro),
      undo: () => ahead.undo(wanted),
    };
  }

  async #settle(asking: Asking, subject: Subject, ahead: Ahead, held: number, micro: number): Promise<void> {
    ahead.settle(held, micro);
    if (ahead.gone && micro > 0) {
      await asking.desk.settle({ subjects: [subject], id: crypto.randomUUID(), micro });
    } else if (ahead.ending && ahead.idle && !ahead.waits) {
      await this.#end(asking, subject, ahead);
    }
  }

  /** Notes that a subject asks, and says whether it does so often. */
  #often({ name }: Subject, nowMs: number): boolean {
    const before = this.#asked.get(name) ?? [];
    this.#asked.delete(name); // who asked last is last, so that who asks no more is first
    this.#asked.set(name, [...before.slice(1 - often), nowMs]);
    for (const [first] of this.#asked) {
      if (this.#asked.size <= remembered) {
        break;
      }
      this.#asked.delete(first);
    }
    return before.length >= often && nowMs - (before[0] as number) < advanceMs;
  }

  #opened(asking: Asking, subject: Subject, nowMs: number): Ahead {
    const before = this.#aheads.get(subject.name);
    if (before !== undefined && !before.gone && !before.stale(nowMs)) {
      return before;
    }
    if (before !== undefined && !before.gone && before.untold > 0) {
      asking.waitUntil(this.#count(asking, subject, before));
    }
    const opened = new Ahead(crypto.randomUUID());
    this.#aheads.set(subject.name, opened);
    return opened;
  }

  /** Asks for more, and gives it back when it is not asked for for a while. */
  async #more(asking: Asking, subjects: readonly Subject[], wanted: Free, nowMs: number): Promise<void> {
    const words = subjects.map((subject) => {
      const ahead = this.#opened(asking, subject, nowMs);
      return [subject, ahead, ahead.more(wanted, nowMs)] as const;
    });
    const telling = this.#tell(asking, words);
    asking.waitUntil(telling.then(() => this.#leave(asking, words)));
    await telling;
  }

  /** When nothing was said since these words, nobody asks often any more. */
  async #leave(asking: Asking, words: readonly (readonly [Subject, Ahead, Told])[]): Promise<void> {
    await scheduler.wait(advanceMs);
    const left = words.filter(([, ahead, { seq }]) => ahead.seq === seq && !ahead.gone);
    if (left.length > 0) {
      const nowMs = Date.now();
      await this.#tell(
        asking,
        left.map(([subject, ahead]) => [subject, ahead, ahead.back(nowMs)] as const),
      );
    }
  }

  async #tell(asking: Asking, words: readonly (readonly [Subject, Ahead, Told])[]): Promise<void> {
    await this.#say(asking, words);
    for (const [subject, ahead] of words) {
      if (ahead.ending && ahead.idle && !ahead.gone && !ahead.waits) {
        asking.waitUntil(this.#end(asking, subject, ahead)); // its last question ended meanwhile, or nobody heard that it did
      }
    }
  }

  /** Says the last word of an advance until it is heard, or until it is asked for again. */
  async #end(asking: Asking, subject: Subject, ahead: Ahead): Promise<void> {
    for (const pause of pausesMs) {
      await this.#say(asking, [[subject, ahead, ahead.back(Date.now())]]);
      if (ahead.gone) {
        return;
      }
      await scheduler.wait(pause);
      if (!ahead.ending || !ahead.idle || ahead.waits || ahead.gone) {
        return;
      }
    }
  }

  async #say(asking: Asking, words: readonly (readonly [Subject, Ahead, Told])[]): Promise<void> {
    const answers = await asking.desk.advance(words.map(([subject, , told]) => ({ subject, told })));
    await Promise.all(words.map(([subject, ahead, told], i) => this.#heard(asking, subject, ahead, told, answers?.[i] ?? null)));
  }

  async #heard(asking: Asking, subject: Subject, ahead: Ahead, told: Told, heard: Heard | null): Promise<void> {
    if (heard === null) {
      ahead.unheard(told);
      return;
    }
    ahead.hear(told, heard, Date.now());
    if (ahead.gone && this.#aheads.get(subject.name) === ahead) {
      this.#aheads.delete(subject.name);
    }
    if (heard.outcome === "gone" && ahead.untold > 0) {
      await this.#count(asking, subject, ahead);
    }
  }

  /** Its hold ended: what was spent of it counts all the same, under a name of its own. */
  #count({ desk }: Asking, subject: Subject, { id, untold: micro }: Ahead): Promise<void> {
    return desk.settle({ subjects: [subject], id: `${id}.end`, micro });
  }
}
