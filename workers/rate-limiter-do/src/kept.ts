import { type Account, apply, type Change, nextMs } from "../../shared/src/limits/budget";
import type { Own } from "../../shared/src/limits/limits";
import type { Meter } from "../../shared/src/limits/rate";
import type { Disk } from "./disk";
import { Late } from "./late";

/** Decisions look at the time themselves, so what has expired may lie on disk for a while: it is taken off many at a time. */
const sweepMs = 60_000;

/** What a limiter decides by, in memory as on disk. */
export class Kept {
  readonly account: Account;
  readonly #ctx: DurableObjectState;
  readonly #disk: Disk;
  /** What was settled and is not written yet. */
  readonly #late = new Late(() => this.write());
  #meter: Meter | undefined;
  #own: Own | null;
  /** What the alarm is set to; undefined until it was asked for. */
  #alarmMs: number | null | undefined;

  constructor(ctx: DurableObjectState, disk: Disk) {
    this.#ctx = ctx;
    this.#disk = disk;
    this.account = disk.account();
    this.#meter = disk.meter();
    this.#own = disk.own();
  }

  get meter(): Meter | undefined {
    return this.#meter;
  }

  get own(): Own | null {
    return this.#own;
  }

  setOwn(own: Own | null): void {
    this.#disk.keepOwn(own);
    this.#own = own;
  }

  /** Counts at once, and is written with what is written next, or soon. */
  settle(change: Change): void {
    apply(this.account, change);
    this.#late.add(change);
  }

  /** All that was settled so far is written. */
  settled(): Promise<void> {
    return this.#late.written();
  }

  /** Memory follows the disk: where a write fails, the object begins again with what the disk has. */
  write(made: readonly Change[] = [], meter?: Meter): void {
    const changes = [...this.#late.take(), ...made];
    const spent = made.at(-1)?.spent ?? this.account.spent; // what was settled late counts already
    try {
      this.#ctx.storage.transactionSync(() => {
        for (const one of changes) {
          this.#disk.keepCall(one);
        }
        if (changes.some(({ closed }) => closed !== undefined)) {
          this.#disk.keepSpent(this.account.window, spent);
        }
        if (meter !== undefined) {
          this.#disk.keepMeter(meter);
        }
      });
    } catch (error) {
      this.#ctx.abort(String(error));
      throw error;
    }
    for (const change of made) {
      apply(this.account, change);
    }
    this.#meter = meter ?? this.#meter;
  }

  /** The alarm has gone off. */
  woken(): void {
    this.#alarmMs = null;
  }

  /** Takes off the disk what has expired. */
  forget(): void {
    this.#disk.forget(this.account.latestMs);
  }

  /** Sets the alarm for what expires next, or for another time that is sooner. */
  async wake(orMs: number | null): Promise<void> {
    const next = (nextMs(this.account) ?? Number.POSITIVE_INFINITY) + sweepMs;
    const at = Math.min(next, orMs ?? Number.POSITIVE_INFINITY);
    if (this.#alarmMs === undefined) {
      this.#alarmMs = await this.#ctx.storage.getAlarm();
    }
    if (at !== Number.POSITIVE_INFINITY && (this.#alarmMs === null || this.#alarmMs > at)) {
      this.#alarmMs = at;
      await this.#ctx.storage.setAlarm(at);
    }
  }
}
