import { accountOfKey, type Balance, balanceKey } from "../../shared/src/money/balance";
import { nextMark, putMark, readMark } from "../../shared/src/money/mark";
import { putBalance, readMany } from "../../shared/src/money/publish";
import type { Books, Pass } from "./books";
import { compare, compareAgain, type Finding, foreign, inFlightMs, tellableMs } from "./decide";
import { feedCalls, reconcileFeed } from "./feed";

/**
 * What one pass may do. A Worker may make a thousand calls to KV in one invocation, which has two passes: reads take a hundred keys,
 * a list a thousand, a write one. What looking leaves of the calls goes to repairs; some are kept for the feed, and one for the mark.
 */
export const budget = { changed: 8_000, swept: 8_000, lists: 8, calls: 480, feed: feedCalls } as const;

/** How far back a pass looks again at what the one before it compared: a write that was on its way then has arrived. */
const overlapMs = 120_000;

const nil = "00000000-0000-0000-0000-000000000000";

/**
 * Compares KV with the ledger and makes it good: all that changed since the last pass, then a part of everything, so that what was
 * changed in KV alone is found too. The ledger is never changed.
 */
export async function reconcile(namespace: KVNamespace, books: LedgerBooks): Promise<Pass> {
  const started_ms = Date.now();
  const { kv, left } = counted(namespace);
  const mark = await readMark(kv);
  const since = (mark?.as_of ?? started_ms - 86_400_000) - overlapMs;
  const changed = await books.changedSince(since, budget.changed);
  const position = (await books.position()) ?? { after_account: 0, kv_cursor: null, uses_from_us: since * 1000, uses_from_id: nil };
  const swept = await books.accountsAfter(position.after_account, budget.swept);
  const known = [...new Map([...swept.balances, ...changed].map((balance) => [balance.account, balance])).values()];
  const listed = await listEntries(kv, position.kv_cursor);
  const suspects = [...(await compareAll(kv, known)), ...(await strangers(kv, books, listed.names))];
  const findings = await repairInTime(kv, books, suspects, () => left() - budget.feed);
  const recorded = { us: position.uses_from_us, id: position.uses_from_id };
  const feed = await reconcileFeed(kv, books, { recorded, walks: await books.walks() }, left);
  const complete = changed.length < budget.changed && findings.every(({ repaired }) => repaired);
  const pass: Pass = {
    started_ms,
    ended_ms: Date.now(),
    accounts: known.length,
    entries: listed.names.length,
    uses: feed.uses,
    uses_shown: feed.shown,
    feed_entries: feed.entries,
    complete,
    position: {
      after_account: swept.next,
      kv_cursor: listed.cursor,
      uses_from_us: feed.position.recorded.us,
      uses_from_id: feed.position.recorded.id,
    },
    walks: feed.position.walks,
    findings: [...findings, ...feed.findings],
  };
  await books.record(pass);
  if (complete) {
    await putMark(kv, nextMark(mark, pass));
  }
  return pass;
}

/** The namespace, and how many calls to it are left of the pass's. */
function counted(namespace: KVNamespace): { kv: KVNamespace; left: () => number } {
  let made = 0;
  const kv = new Proxy(namespace, {
    get(target, member) {
      const value: unknown = Reflect.get(target, member);
      if (typeof value !== "function") {
        return value;
      }
      return (...given: unknown[]) => {
        made++;
        return value.apply(target, given);
      };
    },
  });
  return { kv, left: () => budget.calls - made };
}

async function compareAll(kv: KVNamespace, balances: readonly Balance[]): Promise<Finding[]> {
  const held = await readMany(
    kv,
    balances.map(({ account }) => balanceKey(account)),
  );
  const now = Date.now();
  return balances.flatMap((balance) => {
    const name = balanceKey(balance.account);
    return compare(name, balance, held.get(name) ?? null, now) ?? [];
  });
}

interface Listed {
  readonly names: string[];
  readonly cursor: string | null;
}

/** A cursor that KV has forgotten begins the list anew. */
function listEntries(kv: KVNamespace, from: string | null): Promise<Listed> {
  const listed = listFrom(kv, from);
  return from === null ? listed : listed.catch(() => listFrom(kv, null));
}

async function listFrom(kv: KVNamespace, from: string | null): Promise<Listed> {
  const names: string[] = [];
  let cursor = from;
  for (let lists = 0; lists < budget.lists; lists++) {
    const page = await kv.list({ prefix: "balance:", cursor });
    names.push(...page.keys.map(({ name }) => name));
    if (page.list_complete) {
      return { names, cursor: null };
    }
    cursor = page.cursor;
  }
  return { names, cursor };
}

/** Entries of accounts that the ledger does not have. */
async function strangers(kv: KVNamespace, books: LedgerBooks, names: readonly string[]): Promise<Finding[]> {
  if (names.length === 0) {
    return [];
  }
  const known = new Set((await books.of(names.map((name) => accountOfKey(name) as string))).map(({ account }) => account));
  const strange = names.filter((name) => !known.has(accountOfKey(name) as string));
  const held = await readMany(kv, strange);
  return strange.map((name) => foreign(name, held.get(name) ?? null));
}

/** What the books are asked; a test keeps its own. */
export type LedgerBooks = Pick<Books, keyof Books>;

type Repaired = Finding & { readonly repaired: boolean };

/** Makes good at once what can be told from a change that is on its way, and the rest when it can. */
async function repairInTime(kv: KVNamespace, books: LedgerBooks, suspects: readonly Finding[], left: () => number): Promise<Repaired[]> {
  const now = Date.now();
  const young = suspects.filter((suspect) => tellableMs(suspect) > now);
  const old = suspects.filter((suspect) => tellableMs(suspect) <= now);
  const told = await repairAll(kv, books, old, left);
  if (young.length === 0) {
    return told;
  }
  await scheduler.wait(Math.min(inFlightMs, Math.max(...young.map(tellableMs)) - now)); // a database's clock may be ahead
  return [...told, ...(await repairAll(kv, books, young, left))];
}

/**
 * Makes findings good by what the ledger says now, not by what it said when they were found: the writer works on meanwhile. What
 * has arrived by then was no drift.
 */
async function repairAll(kv: KVNamespace, books: LedgerBooks, suspects: readonly Finding[], left: () => number): Promise<Repaired[]> {
  if (suspects.length === 0) {
    return [];
  }
  const accounts = suspects.map(({ key: name }) => accountOfKey(name) as string);
  const askedMs = Date.now();
  const [now, held] = [
    await books.of(accounts),
    await readMany(
      kv,
      suspects.map(({ key: name }) => name),
    ),
  ];
  const byKey = new Map(now.map((balance) => [balanceKey(balance.account), balance]));
  const still = suspects.flatMap((suspect) => {
    const balance = byKey.get(suspect.key);
    const text = held.get(suspect.key) ?? null;
    if (balance === undefined) {
      return text === null ? [] : [foreign(suspect.key, text)];
    }
    // What the account's first use brought meanwhile is no stranger any more.
    return suspect.kind === "foreign" && text === null ? [] : (compareAgain(suspect, balance, text, Date.now()) ?? []);
  });
  const within = still.slice(0, Math.max(0, left()));
  const done = await Promise.allSettled(within.map((finding) => repair(kv, finding, askedMs)));
  return still.map((finding, i) => ({ ...finding, repaired: done[i]?.status === "fulfilled" }));
}

/** An entry that is taken away is kept in the record, so that nothing is lost by a mistake about it. */
function repair(kv: KVNamespace, { key: name, after }: Finding, askedMs: number): Promise<void> {
  return after === null ? kv.delete(name) : putBalance(kv, after, askedMs);
}
