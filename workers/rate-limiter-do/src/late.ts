import type { Change } from "../../shared/src/limits/budget";

/** How long what nobody waits for may wait for others, to be written with them. */
const gatherMs = 100;

/** Changes that are gathered and written at once: with what has to be written anyway, or after a while. Who made one learns when it was. */
export class Late {
  readonly #write: () => void;
  #changes: Change[] = [];
  #waiting: PromiseWithResolvers<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(write: () => void) {
    this.#write = write;
  }

  add(change: Change): void {
    this.#changes.push(change);
  }

  /** All that was added so far is handed to the disk; the runtime lets no answer out before it is there. */
  async written(): Promise<void> {
    if (this.#changes.length === 0) {
      return;
    }
    this.#timer ??= setTimeout(() => this.#write(), gatherMs);
    this.#waiting ??= Promise.withResolvers<void>();
    await this.#waiting.promise;
  }

  /** Gives what is to be written, to whoever writes it in this very turn. */
  take(): readonly Change[] {
    const changes = this.#changes;
    clearTimeout(this.#timer);
    this.#waiting?.resolve();
    this.#changes = [];
    this.#timer = undefined;
    this.#waiting = undefined;
    return changes;
  }
}
