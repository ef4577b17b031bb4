import { KEYS, key } from "../keys";
import { isWithinBytes } from "../utf8";
import { isAccount } from "./account";
import { creditsOf } from "./micro";

/** The form of queued usage that this code writes and reads. */
export const USAGE_VERSION = 1;

/** How long usage stays in the feed; the ledger keeps it for ever. */
export const USAGE_TTL_DAYS = 30;

const dayMs = 86_400_000;

/** One use, as the queue carries it and the ledger takes it. Amounts are whole micro-credits; times are milliseconds since 1970. */
export interface UsageEvent {
  readonly v: typeof USAGE_VERSION;
  readonly id: string;
  readonly kind: "usage";
  readonly account: string;
  readonly amount: number;
  readonly at_ms: number;
  readonly meta: UsageMeta;
}

/** What the ledger keeps beside the money, enough to make the feed's entry again. */
export interface UsageMeta {
  readonly route: string;
  readonly tokens_in: number;
  readonly tokens_out: number;
  readonly [note: string]: string | number | boolean;
}

/** One use as clients read it. */
export interface FeedItem {
  readonly id: string;
  readonly created_at: string;
  readonly route: string;
  readonly tokens_in: number;
  readonly tokens_out: number;
  readonly cost_credits: number;
  readonly meta: Readonly<Record<string, string | number | boolean>>;
  readonly email: string;
}

/** What the feed needs of a use: an event on its way, or a row of the journal. */
export type Use = Pick<UsageEvent, "id" | "account" | "amount" | "at_ms"> & { readonly meta: Partial<UsageMeta> | null };

/** Counts down, so that a plain list of keys is newest first. Eleven digits for as long as anybody will look. */
export function revTs(ms: number): string {
  return (Number.MAX_SAFE_INTEGER - ms).toString(36);
}

/** The time that revTs spelt. */
export function timeOf(rev: string): number {
  return Number.MAX_SAFE_INTEGER - Number.parseInt(rev, 36);
}

/** The keys of an account's feed begin so. */
export function feedPrefix(account: string): string {
  return `usage:${account}:`;
}

/** The parts of a key of the feed, or of an account's list of jobs, which is spelt alike; undefined for any other key. */
export function parseFeedKey(name: string, list: "usage" | "jobs" = "usage"): { account: string; at_ms: number; id: string } | undefined {
  const [kind, account, rev, id, ...more] = name.split(":");
  if (kind !== list || account === undefined || rev === undefined || id === undefined || more.length > 0) {
    return undefined;
  }
  return isAccount(account) && /^[0-9a-z]{11}$/.test(rev) && id !== "" ? { account, at_ms: timeOf(rev), id } : undefined;
}

export function feedItem({ id, account, amount, at_ms, meta }: Use): FeedItem {
  const { route, tokens_in, tokens_out, ...notes } = meta ?? {};
  return {
    id,
    created_at: new Date(at_ms).toISOString(),
    route: route ?? "",
    tokens_in: tokens_in ?? 0,
    tokens_out: tokens_out ?? 0,
    cost_credits: creditsOf(amount),
    // In order of their names, so that an event and its row in the journal spell one value.
    meta: Object.fromEntries(Object.entries(notes).sort(([a], [b]) => (a < b ? -1 : 1))) as FeedItem["meta"],
    email: account,
  };
}

/** Cloudflare's bound on a key's metadata, as JSON. */
const maxMetadataBytes = 1024;

export interface FeedEntry {
  readonly name: string;
  readonly value: string;
  /** The item, so that a list reads the feed without reading each value; left out when it does not fit. */
  readonly metadata: FeedItem | undefined;
  /** When KV forgets it, in seconds since 1970. */
  readonly expiration: number;
}

/** What KV holds of a use: the same bytes whoever writes it, so that writing it again changes nothing. Undefined when it is too old. */
export function feedEntry(use: Use, nowMs: number): FeedEntry | undefined {
  const expiration = Math.floor((use.at_ms + USAGE_TTL_DAYS * dayMs) / 1000);
  // KV refuses to keep anything for less than a minute; what is so old has left the feed.
  if (expiration < nowMs / 1000 + 120) {
    return undefined;
  }
  const item = feedItem(use);
  const value = JSON.stringify(item);
  return {
    name: key(KEYS.usage, { email: use.account, rev_ts: revTs(use.at_ms), id: use.id }),
    value,
    metadata: isWithinBytes(value, maxMetadataBytes) ? item : undefined,
    expiration,
  };
}

/** Writes an entry of the feed. */
export function putFeedEntry(kv: KVNamespace, { name, value, metadata, expiration }: FeedEntry): Promise<void> {
  return kv.put(name, value, { expiration, ...(metadata === undefined ? {} : { metadata }) });
}
