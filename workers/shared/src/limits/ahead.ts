import { ALLOWANCES } from "../contract.gen";
import type { Free, Told } from "./advance";
import type { Heard } from "./limits";
import { decideRate, type Meter, type Rate, returned } from "./rate";

const { advanceMs, holdMs } = ALLOWANCES.keeping;

/** A limiter that was not heard for so long is asked first: what it holds ends much later. */
const freshMs = 10 * advanceMs;

/** What is known of a limiter since it was last heard. */
interface Known {
  readonly atMs: number;
  readonly rate: Rate;
  readonly meter: Meter | undefined;
  readonly granted: Free;
  /** It granted less than half of what was wanted. */
  readonly scarce: boolean;
  /** What it knows to be spent, in all. */
  readonly spent: number;
}

/** What an isolate has taken in advance of one limiter, and what its questions took of that. All numbers are in all, since the first word. */
export class Ahead {
  readonly id: string;
  #seq = 0;
  /** What may be used: weights, and what is spent and held by questions that are not over. */
  #may: Free = { micro: 0, weight: 0 };
  #used = 0;
  #spent = 0;
  #open = 0;
  #questions = 0;
  /** The most that was held since the last word. */
  #peak = 0;
  #told = { atMs: Number.NEGATIVE_INFINITY, used: 0, spent: 0 };
  #waits = false;
  #heard: Known | undefined;
  #over: "" | "ending" | "gone" = "";

  constructor(id: string) {
    this.id = id;
  }

  get seq(): number {
    return this.#seq;
  }

  /** A word was said, and no answer has come. */
  get waits(): boolean {
    return this.#waits;
  }

  /** No question is open. */
  get idle(): boolean {
    return this.#questions === 0;
  }

  /** No question may begin until more is granted; it ends with the last that is open. */
  get ending(): boolean {
    return this.#over === "ending";
  }

  /** Its limiter holds nothing for it any more. */
  get gone(): boolean {
    return this.#over === "gone";
  }

  /** What was spent and its limiter does not know. */
  get untold(): number {
    return this.#spent - (this.#heard?.spent ?? 0);
  }

  /** Weights that were used since the last word. */
  get unsaid(): number {
    return Math.max(0, this.#used - this.#told.used);
  }

  /** What no question has taken. */
  get free(): Free {
    return this.#over === ""
      ? { micro: this.#may.micro - this.#spent - this.#open, weight: this.#may.weight - this.#used }
      : { micro: 0, weight: 0 };
  }

  /** Takes what a question may cost; false where there is not enough, or where the limiter was not heard for too long. */
  take({ weight, micro }: Free, nowMs: number): boolean {
    const fresh = this.#heard !== undefined && nowMs < this.#heard.atMs + freshMs;
    const { free } = this;
    if (this.#over !== "" || !fresh || weight > free.weight || micro > free.micro) {
      return false;
    }
    this.#used += weight;
    this.#open += micro;
    this.#questions++;
    this.#peak = Math.max(this.#peak, this.#open);
    return true;
  }

  /** Puts what a question cost in the place of what it held; what it did not need is there for others. */
  settle(held: number, micro: number): void {
    this.#open -= held;
    this.#questions--;
    this.#spent += micro;
  }

  /** The question was not asked. */
  undo({ weight, micro }: Free): void {
    this.settle(micro, 0);
    this.#used -= weight;
  }

  /** What the limit looks like now, with what no question took given back. */
  standing(nowMs: number): { rate: Rate; remaining: number; resetMs: number } | undefined {
    if (this.#heard === undefined) {
      return;
    }
    const { rate, meter } = this.#heard;
    const { remaining, resetMs } = decideRate(rate, meter && returned(meter, this.#may.weight - this.#used), nowMs, 0);
    return { rate, remaining, resetMs };
  }

  /** Whether it is time for a word: the last one is a while ago, or little is left and there may be more. */
  due(nowMs: number): boolean {
    const { free } = this;
    const granted = this.#heard?.granted ?? { micro: 0, weight: 0 };
    const low = free.weight * 4 < granted.weight || free.micro * 4 < granted.micro;
    return this.speaks(nowMs) && (nowMs >= this.#told.atMs + advanceMs * 0.75 || low);
  }

  /** Whether a word may be said now: one at a time, and not at once again where there was little. */
  speaks(nowMs: number): boolean {
    const waits = this.#waits && nowMs < this.#told.atMs + 2 * advanceMs; // whom a caller leaves is not told what it waits for
    const scarce = this.#heard?.scarce === true && nowMs < this.#heard.atMs + advanceMs;
    return !waits && !scarce && !this.gone;
  }

  /** Its limiter may have given it up. */
  stale(nowMs: number): boolean {
    return this.idle && nowMs > (this.#heard?.atMs ?? this.#told.atMs) + holdMs / 2;
  }

  /** Asks for twice what was used since the last word, and for four questions like this one at least. */
  more({ weight, micro }: Free, nowMs: number): Told {
    const used = { weight: this.#used - this.#told.used, micro: this.#peak + this.#spent - this.#told.spent };
    const want = { weight: Math.max(4 * weight, 2 * used.weight), micro: Math.max(4 * micro, 2 * used.micro) };
    const part = this.#heard?.granted ?? want;
    const least = (free: number, granted: number, one: number) => Math.max(0, Math.min(free, Math.max(one, Math.ceil(granted / 4))));
    const { free } = this;
    this.#over = "";
    return this.#word(nowMs, { micro: least(free.micro, part.micro, micro), weight: least(free.weight, part.weight, weight) }, want);
  }

  /** Gives back what no question has taken, and all of it where none is open. */
  back(nowMs: number): Told {
    this.#over = "ending";
    const none = { weight: 0, micro: 0 };
    const told = this.#word(nowMs, none, none);
    return this.idle ? { ...told, end: true } : told;
  }

  /** While the answer is on its way no more is used than is said to be kept: the limiter counts on it. */
  #word(nowMs: number, keep: Free, want: Free): Told {
    this.#seq++;
    this.#may = { micro: this.#spent + this.#open + keep.micro, weight: this.#used + keep.weight };
    this.#told = { atMs: nowMs, used: this.#used, spent: this.#spent };
    this.#waits = true;
    this.#peak = this.#open;
    return { id: this.id, seq: this.#seq, spent: this.#spent, open: this.#open, used: this.#used, keep, want };
  }

  hear(told: Told, heard: Heard, nowMs: number): void {
    if (told.seq !== this.#seq) {
      return;
    }
    this.#waits = false;
    if (told.end === true || heard.outcome !== "granted") {
      this.#over = "gone";
    }
    const { rate, meter, free } = heard;
    const scarce = free.micro * 2 < told.want.micro || free.weight * 2 < told.want.weight;
    const spent = heard.outcome === "gone" ? (this.#heard?.spent ?? 0) : told.spent;
    this.#heard = { atMs: nowMs, rate, meter, granted: free, scarce, spent };
    this.#may = { micro: told.spent + told.open + free.micro, weight: told.used + free.weight };
  }

  /** Nobody answered: what was said to be kept is all there is. */
  unheard(told: Told): void {
    this.#waits &&= told.seq !== this.#seq;
  }

  /** What is held was heard of again, though nothing was said of what became of it. */
  renewed(nowMs: number): void {
    this.#heard = this.#heard && { ...this.#heard, atMs: Math.max(this.#heard.atMs, nowMs) };
  }
}
