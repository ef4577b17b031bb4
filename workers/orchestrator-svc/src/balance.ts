import { balanceKey, parseBalance } from "../../shared/src/money/balance";

/** How long an isolate goes by what it read, in milliseconds. KV itself shows a write up to a minute or two later. */
export const rememberedMs = 1_000;

const maxAccounts = 10_000;

interface Read {
  readonly shown: string | null;
  readonly at: number;
}

/** What KV said of accounts' balances, for a moment: of an account that asks ten times a second KV is asked once. */
export class Balances {
  private readonly read = new Map<string, Read>();

  /**
   * What KV says that an account has, to 3 decimals, or said a moment ago: this answer is not charged in it yet. Null when it says nothing;
   * nobody is kept waiting for it to be right.
   */
  async shown(kv: KVNamespace, account: string | undefined, nowMs: number): Promise<string | null> {
    if (account === undefined) {
      return null;
    }
    const last = this.read.get(account);
    if (last !== undefined && nowMs - last.at < rememberedMs && nowMs >= last.at) {
      return last.shown;
    }
    try {
      const shown = parseBalance(await kv.get(balanceKey(account)))?.balance_credits.toFixed(3) ?? null;
      this.remember(account, { shown, at: nowMs }); // as old as when it was asked for
      return shown;
    } catch (error) {
      console.error(JSON.stringify({ worker: "orchestrator-svc", what: "balance not read", cause: String(error) }));
      return null;
    }
  }

  private remember(account: string, read: Read): void {
    if (read.at < (this.read.get(account)?.at ?? 0)) {
      return; // a later question was answered sooner
    }
    this.read.delete(account);
    this.read.set(account, read);
    if (this.read.size > maxAccounts) {
      this.read.delete(this.read.keys().next().value as string);
    }
  }
}
