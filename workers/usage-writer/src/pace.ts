import type { Balance } from "../../shared/src/money/balance";

/** KV takes one write a second to a key. */
export const gapMs = 1_000;
const maxAccounts = 10_000;

/** Lets each account's balance through once a second. It is memory of one isolate: without it, KV itself refuses what is too soon. */
export class Pace {
  private readonly written = new Map<string, number>();

  /** Those of these balances that may be written now, as many as may be. */
  admit(balances: readonly Balance[], nowMs: number, most: number): Balance[] {
    const due = balances.filter(({ account }) => nowMs - (this.written.get(account) ?? 0) >= gapMs).slice(0, most);
    for (const { account } of due) {
      this.written.delete(account);
      this.written.set(account, nowMs);
    }
    this.forget();
    return due;
  }

  private forget(): void {
    for (const account of this.written.keys()) {
      if (this.written.size <= maxAccounts) {
        break;
      }
      this.written.delete(account);
    }
  }
}
