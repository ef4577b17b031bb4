import { ALLOWANCES } from "../contract.gen";
import { within } from "../deadline";
import { Problem } from "../problem";
import type { Answers, Outcome, Question, Said, Word } from "./limits";

const { decideMs } = ALLOWANCES.keeping;

/** Between the tries, in milliseconds. Under one id it may be said twice; what is not heard at all is let go when its hold ends. */
const pausesMs = [50, 500, 3_000];

/** The limiter as a Worker asks it: for all whose limits a question falls under, at once. */
export class Desk {
  readonly #limiter: Fetcher;

  constructor(limiter: Fetcher) {
    this.#limiter = limiter;
  }

  /** Undefined: it did not answer. */
  async admit(question: Question): Promise<Said | undefined> {
    return question.subjects.length === 0 ? [] : this.#asked<Said>("admit", question);
  }

  /** Undefined: it did not answer. */
  advance(words: readonly Word[]): Promise<Answers | undefined> {
    return this.#asked<Answers>("advance", words);
  }

  settle(outcome: Outcome): Promise<void> {
    return this.#heard("settle", outcome);
  }

  renew(held: Omit<Outcome, "micro">): Promise<void> {
    return this.#heard("renew", { ...held, micro: 0 });
  }

  cancel(question: Question): Promise<void> {
    return this.#heard("cancel", question);
  }

  async #asked<T>(what: string, body: object): Promise<T | undefined> {
    try {
      const answer = this.#post(what, body).then((response) => response.json<T>());
      return await within(decideMs, answer, () => new Problem(504, "limiter_timeout"));
    } catch (error) {
      console.error(JSON.stringify({ what: "limiter down", cause: String(error) }));
      return;
    }
  }

  /** Says it until it is heard. */
  async #heard(what: string, body: object): Promise<void> {
    for (let n = 0; ; n++) {
      try {
        await this.#post(what, body);
        return;
      } catch (error) {
        const pause = pausesMs[n];
        if (pause === undefined) {
          console.error(JSON.stringify({ what: `limiter: ${what} not heard`, cause: String(error) }));
          return;
        }
        await scheduler.wait(pause);
      }
    }
  }

  async #post(what: string, body: object): Promise<Response> {
    const response = await this.#limiter.fetch(`https://limiter/_${what}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) {
      throw new Problem(502, "limiter_failed", `${what}: ${response.status}`);
    }
    return response;
  }
}
