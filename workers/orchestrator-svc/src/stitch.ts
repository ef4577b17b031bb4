/** The shortest repetition that is taken for one: a shorter one is more likely a word that the answer needs twice. */
const minOverlap = 8;

/**
 * Joins a second model's words to what a first one has said already. The second is asked to go on, but some begin again, and some repeat
 * the last sentence: what was sent is not sent again. Text is held back only while it may still turn out to be a repetition.
 */
export class Stitcher {
  private readonly sent: string;
  private held = "";
  private joined: boolean;

  constructor(sent: string) {
    this.sent = sent;
    this.joined = sent === "";
  }

  /** Takes more of the continuation and gives what is new in it. */
  push(text: string): string {
    if (this.joined) {
      return text;
    }
    this.held += text;
    return this.undecided() ? "" : this.join();
  }

  /** The continuation is over: gives what was still held back. */
  end(): string {
    return this.joined ? "" : this.join();
  }

  /** Whether what is held may yet grow into a longer repetition: it reads like some place of what was sent. */
  private undecided(): boolean {
    return this.held.length < this.sent.length && this.sent.includes(this.held);
  }

  private join(): string {
    this.joined = true;
    const longest = Math.min(this.sent.length, this.held.length);
    const least = Math.min(minOverlap, this.sent.length);
    for (let n = longest; n >= least; n--) {
      if (this.sent.endsWith(this.held.slice(0, n))) {
        return this.held.slice(n);
      }
    }
    return this.held;
  }
}
