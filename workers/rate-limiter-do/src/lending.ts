import type { Account } from "../../shared/src/limits/budget";
import { type Lender, type Lent, lend, lenderIn, lentOf, noted, takeBack, type Word } from "../../shared/src/limits/lease";
import type { Limits, Sharing } from "../../shared/src/limits/limits";
import type { Disk } from "./disk";

/** Between two times that all shards are asked for what they do not need. */
const recallMs = 1_000;

/** What an object knows that lends to others what they spend. */
export class Lending {
  readonly #disk: Disk;
  readonly #shardOf: (name: string) => Limits;
  #lender: Lender;
  #recalledMs = Number.NEGATIVE_INFINITY;

  constructor(disk: Disk, shardOf: (name: string) => Limits) {
    this.#disk = disk;
    this.#shardOf = shardOf;
    this.#lender = disk.lender();
  }

  /** What is lent in a window. */
  lent(window: number): number {
    return lentOf(lenderIn(this.#lender, window));
  }

  /** Lends what is free of a budget; where that is not enough, the other shards are asked first for what they do not need. */
  async lend(micro: number, account: Account, { shard, shards }: Sharing, word: Word): Promise<number> {
    const decide = () => {
      this.#lender = lenderIn(this.#lender, account.window);
      return lend(micro - account.spent - account.held, this.#lender, shard, shards, word);
    };
    let lent = decide();
    if (lent !== undefined && lent.micro < word.micro && Date.now() - this.#recalledMs >= recallMs) {
      await this.recall(shard);
      lent = decide();
    }
    if (lent !== undefined) {
      this.#note(shard, lent);
    }
    return lent?.micro ?? 0;
  }

  /** Takes back what shards do not need; one that does not answer keeps what it was lent. */
  async recall(but?: string): Promise<void> {
    this.#recalledMs = Date.now();
    const shards = [...this.#lender.lent].filter(([shard, { micro }]) => shard !== but && micro > 0).map(([shard]) => shard);
    await Promise.all(shards.map((shard) => this.#takeBack(shard)));
  }

  async #takeBack(shard: string): Promise<void> {
    try {
      const lent = takeBack(this.#lender, shard, await this.#shardOf(shard).giveBack());
      if (lent !== undefined) {
        this.#note(shard, lent);
      }
    } catch (error) {
      console.error(JSON.stringify({ worker: "rate-limiter-do", what: "shard down", cause: String(error) }));
    }
  }

  #note(shard: string, lent: Lent): void {
    this.#disk.keepLent(this.#lender.window, shard, lent);
    this.#lender = noted(this.#lender, shard, lent);
  }
}
