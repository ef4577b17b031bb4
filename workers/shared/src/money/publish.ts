import { type Balance, balanceKey, parseBalance, stored } from "./balance";

/** How many keys KV reads at once. */
const bulkKeys = 100;

/** How many such reads are under way at once: as many as Cloudflare lets an invocation have. More would only wait, with what they hold. */
const atOnce = 6;

/** The texts under keys, read a hundred at a time. */
export async function readMany(kv: KVNamespace, names: readonly string[]): Promise<Map<string, string | null>> {
  const held = new Map<string, string | null>();
  let next = 0;
  const read = async () => {
    while (next < names.length) {
      const group = names.slice(next, next + bulkKeys);
      next += group.length;
      for (const [name, text] of await kv.get(group, "text")) {
        held.set(name, text);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, read));
  return held;
}

/**
 * Writes balances to KV unless KV holds a newer copy: an older projection never overwrites a newer one that can be seen. KV has no
 * compare-and-set, so what was written between the look and the write is made good by whoever wrote it (confirmBalance) or by the
 * reconciler. Answers the accounts whose write failed.
 */
export async function publishBalances(
  kv: KVNamespace,
  balances: readonly Balance[],
  asOfMs: number | ((balance: Balance) => number),
): Promise<string[]> {
  if (balances.length === 0) {
    return [];
  }
  const asOf = typeof asOfMs === "number" ? () => asOfMs : asOfMs;
  const held = await readMany(
    kv,
    balances.map(({ account }) => balanceKey(account)),
  );
  const newer = balances.filter(({ account, version }) => (parseBalance(held.get(balanceKey(account)))?.version ?? -1) < version);
  const written = await Promise.allSettled(newer.map((balance) => putBalance(kv, balance, asOf(balance))));
  return newer.flatMap(({ account }, i) => (written[i]?.status === "rejected" ? [account] : []));
}

export function putBalance(kv: KVNamespace, balance: Balance, asOfMs: number): Promise<void> {
  return kv.put(balanceKey(balance.account), JSON.stringify(stored(balance, asOfMs)));
}

/**
 * Publishes a balance, which the ledger was asked for at that time, and asks it again: if it moved meanwhile, the newer one is
 * published too. So whichever of two writers comes last, it sees the other's change in the ledger and ends with it.
 */
export async function confirmBalance(
  kv: KVNamespace,
  balance: Balance,
  askedMs: number,
  newest: () => Promise<Balance | undefined>,
): Promise<void> {
  let [current, asOfMs] = [balance, askedMs];
  for (let tries = 0; tries < 5; tries++) {
    await publishBalances(kv, [current], asOfMs);
    asOfMs = Date.now();
    const now = await newest();
    if (now === undefined || now.version <= current.version) {
      return;
    }
    current = now;
  }
}
