import { invalidCursor, readCursor, spellCursor } from "../../shared/src/cursor";
import { accountOf } from "../../shared/src/money/account";
import { Gauge } from "../../shared/src/money/pressure";
import { readMany } from "../../shared/src/money/publish";
import { type FeedItem, feedPrefix } from "../../shared/src/money/usage";
import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";

const gauge = new Gauge();

const defaultLimit = 25;
const maxLimit = 100;

/** The newest uses of an account first, a page at a time. One list of KV carries a page whole; it never reads row after row. */
export async function readFeed({ request, caller, env }: Call<Env>): Promise<Response> {
  const account = accountOf(caller);
  await gauge.relieve(env.KV_BILLING, Date.now()); // a feed can be asked for again; what was used is never turned away
  const query = new URL(request.url).searchParams;
  const limit = readLimit(query.get("limit"));
  const given = query.get("cursor");
  const page = await list(env.KV_BILLING, account, limit, given === null ? null : await readCursor(account, given));
  const items = await itemsOf(env.KV_BILLING, page.keys);
  const next_cursor = page.list_complete ? null : await spellCursor(account, page.cursor);
  return json({ email: account, items, next_cursor });
}

function readLimit(text: string | null): number {
  const limit = text === null ? defaultLimit : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit || text === "") {
    throw new Problem(400, "invalid_limit", `limit is not a whole number from 1 to ${maxLimit}.`);
  }
  return limit;
}

type Listed = KVNamespaceListKey<FeedItem>;

async function list(kv: KVNamespace, account: string, limit: number, cursor: string | null) {
  try {
    return await kv.list<FeedItem>({ prefix: feedPrefix(account), limit, cursor });
  } catch (error) {
    // A cursor that was right once is refused when KV has forgotten what it stood for.
    throw cursor === null ? new Problem(503, "usage_unavailable", undefined, { cause: error }) : invalidCursor(error);
  }
}

/** Items come with the list; those too long for it, and those of the platform before this one, are read together. */
async function itemsOf(kv: KVNamespace, keys: readonly Listed[]): Promise<FeedItem[]> {
  const alone = keys.filter(({ metadata }) => !isItem(metadata)).map(({ name }) => name);
  const texts = await readMany(kv, alone);
  return keys.flatMap(({ name, metadata }) => (isItem(metadata) ? [metadata] : parseItem(texts.get(name))));
}

function isItem(metadata: FeedItem | undefined | null): metadata is FeedItem {
  return typeof metadata?.id === "string" && typeof metadata.created_at === "string";
}

/** What has expired since it was listed, or is no item, is passed over. */
function parseItem(text: string | null | undefined): FeedItem[] {
  try {
    const item = JSON.parse(text ?? "null") as FeedItem | null;
    return item !== null && typeof item.id === "string" ? [item] : [];
  } catch {
    return [];
  }
}
