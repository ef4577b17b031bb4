import { parseFeedKey } from "../../shared/src/money/usage";

export type List = "usage" | "jobs";

export const kinds: readonly List[] = ["usage", "jobs"];

/** Where a sweep goes on: a list, and KV's cursor in it. */
export interface Place {
  readonly list: List;
  readonly cursor: string | null;
}

export interface Plan {
  readonly lists: readonly List[];
  /** Accounts whose name begins so. */
  readonly prefix: string;
  /** What happened before this time goes. */
  readonly before: number;
  /** How many entries may go. */
  readonly limit: number;
  readonly dryRun: boolean;
  readonly from: Place | undefined;
}

export interface Swept {
  readonly scanned: number;
  readonly deleted: number;
  readonly kept: number;
  /** Where to go on; undefined when all was looked at. */
  readonly next: Place | undefined;
}

/** A Worker may make a thousand calls to KV in one invocation; some are left for what else goes on in it. */
export const maxCalls = 900;

/**
 * Looks at entries page by page and deletes those that are too old, until the limit or the budget of calls is used up. A page that it
 * could not finish is where it goes on: what it deleted there is gone from it, so every call gets further. Times are in the keys, so
 * no value is read. A dry run deletes nothing, so it counts past the limit.
 */
export async function sweep(kv: KVNamespace, plan: Plan): Promise<Swept> {
  const sum: Sum = { scanned: 0, deleted: 0, kept: 0, calls: 0 };
  let place: Place | undefined = plan.from ?? { list: plan.lists[0] as List, cursor: null };
  while (place !== undefined && sum.calls < maxCalls) {
    const { unfinished, cursor }: Page = await sweepPage(kv, plan, place, sum);
    if (unfinished) {
      break;
    }
    place = following(plan.lists, place, cursor);
  }
  const { scanned, deleted, kept } = sum;
  return { scanned, deleted, kept, next: place };
}

/** The next page of a list, or the first of the next list. */
function following(lists: readonly List[], { list }: Place, cursor: string | null): Place | undefined {
  if (cursor !== null) {
    return { list, cursor };
  }
  const next = lists[lists.indexOf(list) + 1];
  return next === undefined ? undefined : { list: next, cursor: null };
}

interface Sum {
  scanned: number;
  deleted: number;
  kept: number;
  calls: number;
}

interface Page {
  readonly unfinished: boolean;
  /** Of the next page; null after the last. */
  readonly cursor: string | null;
}

async function sweepPage(kv: KVNamespace, plan: Plan, { list, cursor }: Place, sum: Sum): Promise<Page> {
  const page = await kv.list({ prefix: `${list}:${plan.prefix}`, cursor });
  sum.calls++;
  const old = page.keys.filter(({ name }) => isOld(name, list, plan.before));
  const going = old.slice(0, plan.dryRun ? old.length : Math.min(plan.limit - sum.deleted, affordable(list, sum.calls)));
  if (!plan.dryRun) {
    sum.calls += going.length * callsEach[list];
    await Promise.all(going.flatMap(({ name }) => remove(kv, list, name)));
  }
  sum.kept += page.keys.length - old.length;
  sum.deleted += going.length;
  sum.scanned += page.keys.length - old.length + going.length;
  return { unfinished: going.length < old.length, cursor: page.list_complete ? null : page.cursor };
}

function affordable(list: List, calls: number): number {
  return Math.max(0, Math.floor((maxCalls - calls) / callsEach[list]));
}

/** A job is two entries: the one in its account's list, and its own. */
const callsEach: Readonly<Record<List, number>> = { usage: 1, jobs: 2 };

function isOld(name: string, list: List, before: number): boolean {
  const parsed = parseFeedKey(name, list);
  return parsed !== undefined && parsed.at_ms < before;
}

function remove(kv: KVNamespace, list: List, name: string): Promise<void>[] {
  const id = parseFeedKey(name, list)?.id;
  return [kv.delete(name), ...(list === "jobs" ? [kv.delete(`job:${id}`)] : [])];
}
