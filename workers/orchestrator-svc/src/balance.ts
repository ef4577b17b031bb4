import { balanceKey, parseBalance } from "../../shared/src/money/balance";

/** What KV says that an account has, to 3 decimals: this answer is not charged in it yet. Null when it says nothing; nobody is kept waiting for it to be right. */
export async function shownBalance(kv: KVNamespace, account: string | undefined): Promise<string | null> {
  if (account === undefined) {
    return null;
  }
  try {
    return parseBalance(await kv.get(balanceKey(account)))?.balance_credits.toFixed(3) ?? null;
  } catch (error) {
    console.error(JSON.stringify({ worker: "orchestrator-svc", what: "balance not read", cause: String(error) }));
    return null;
  }
}
