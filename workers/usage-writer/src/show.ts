import { isAccount } from "../../shared/src/money/account";
import type { Balance } from "../../shared/src/money/balance";
import type { Use } from "../../shared/src/money/usage";
import { isWithinBytes } from "../../shared/src/utf8";

/** The form of what this Worker tells itself through queues. */
const VERSION = 1;

/** Cloudflare's bound on a message is 128,000 bytes; some are its own. */
const maxMessageBytes = 120_000;

/** What the ledger has taken and the feed is to show, a batch or a part of one. */
export interface UsesToShow {
  readonly v: typeof VERSION;
  readonly uses: readonly Use[];
}

/** What accounts have after a batch. */
export interface BalancesToShow {
  readonly v: typeof VERSION;
  /** When the ledger was asked: a copy is as old as that, however long it waits here. */
  readonly as_of_ms: number;
  readonly balances: readonly Balance[];
}

/** Hands what the ledger has taken to whoever shows it: the ledger's next batch does not wait for KV. */
export async function sendToShow(
  { feed, balances }: { feed: Queue; balances: Queue },
  posted: { uses: readonly Use[]; balances: readonly Balance[]; as_of_ms: number },
): Promise<void> {
  await Promise.all([
    ...inMessages(posted.uses).map((uses) => feed.send({ v: VERSION, uses } satisfies UsesToShow)),
    ...(posted.balances.length === 0
      ? []
      : [balances.send({ v: VERSION, as_of_ms: posted.as_of_ms, balances: posted.balances } satisfies BalancesToShow)]),
  ]);
}

/** Uses in as few messages as they fit in; a use came in one, so it fits in one. */
export function inMessages(uses: readonly Use[]): Use[][] {
  if (uses.length === 0) {
    return [];
  }
  const shown = uses.map(({ id, account, amount, at_ms, meta }) => ({ id, account, amount, at_ms, meta }));
  if (uses.length === 1 || isWithinBytes(JSON.stringify(shown), maxMessageBytes)) {
    return [shown];
  }
  const middle = shown.length >> 1;
  return [...inMessages(shown.slice(0, middle)), ...inMessages(shown.slice(middle))];
}

/** The uses of a message; none of one that this Worker did not send. */
export function usesOf(body: unknown): readonly Use[] {
  const { v, uses } = (body ?? {}) as Partial<UsesToShow>;
  return v === VERSION && Array.isArray(uses) ? uses.filter(isUse) : [];
}

/** The balances of a message; none of one that this Worker did not send. */
export function balancesOf(body: unknown): readonly Balance[] {
  const { v, balances } = (body ?? {}) as Partial<BalancesToShow>;
  return v === VERSION && Array.isArray(balances) ? balances.filter(isBalance) : [];
}

/** When the ledger said so; a message that does not tell was sent at once. */
export function asOfMs({ body, timestamp }: Pick<Message, "body" | "timestamp">): number {
  const { as_of_ms } = (body ?? {}) as Partial<BalancesToShow>;
  return areWhole(as_of_ms) ? (as_of_ms as number) : timestamp.getTime();
}

function isUse(value: unknown): value is Use {
  const { id, account, amount, at_ms } = (value ?? {}) as Partial<Use>;
  return typeof id === "string" && typeof account === "string" && isAccount(account) && areWhole(amount, at_ms);
}

function isBalance(value: unknown): value is Balance {
  const { account, balance, held, overage, version, updated_at_ms } = (value ?? {}) as Partial<Balance>;
  return typeof account === "string" && isAccount(account) && areWhole(balance, held, overage, version, updated_at_ms);
}

function areWhole(...numbers: unknown[]): boolean {
  return numbers.every(Number.isSafeInteger);
}
