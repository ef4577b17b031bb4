import type { Balance } from "../../shared/src/money/balance";

/** KV takes one write a second to a key. */
export const gapMs = 1_000;
const maxAccounts = 10_000;

/**
 * Lets each account's balance through once a second; of those that come faster, the newest waits for the next batch. It is memory of
 * one isolate: what is lost with it, the reconciler finds.
 */
export class Pace {
  private readonly written = new Map<string, number>();
  private readonly waiting = new Map<string, Balance>();

  /** The balances that may be written now: of these and of those that wait. */
  admit(balances: readonly Balance[], nowMs: number): Balance[] {
    for (const balance of balances) {
      if ((this.waiting.get(balance.account)?.version ?? -1) < balance.version) {
        this.waiting.set(balance.account, balance);
      }
    }
    const due = [...this.waiting.values()].filter(({ account }) => nowMs - (this.written.get(account) ?? 0) >= gapMs);
    for (const { account } of due) {
      this.waiting.delete(account);
      this.written.delete(account);
      this.written.set(account, nowMs);
    }
    this.forget();
    return due;
  }

  /** How many balances wait. */
  get held(): number {
    return this.waiting.size;
  }

  private forget(): void {
    for (const memory of [this.written, this.waiting]) {
      for (const account of memory.keys()) {
        if (memory.size <= maxAccounts) {
          break;
        }
        memory.delete(account);
      }
    }
  }
}
