import { isUuid } from "../../shared/src/ids";
import { isAccount } from "../../shared/src/money/account";
import { type FeedEntry, type FeedItem, feedEntry, parseFeedKey, type Use } from "../../shared/src/money/usage";
import type { Kind } from "./decide";

/** An entry of the feed as a list of KV shows it, which is what clients are shown. */
export interface Listed {
  readonly name: string;
  readonly metadata?: unknown;
  /** When KV forgets it, in seconds since 1970. */
  readonly expiration?: number | undefined;
}

/** One entry that is not what the journal says, and what is put in its place; nothing when it is taken away. */
export interface FeedFinding {
  readonly key: string;
  readonly kind: Kind;
  readonly why: string;
  readonly before: string | null;
  readonly entry: FeedEntry | undefined;
}

/**
 * The id of an entry that this platform wrote, or somebody in its name; undefined for one of the platform before, which is left alone:
 * the ledger never had its usage. That one had ids by chance (version 4) or none of ours at all, and no metadata. Ids that we make order
 * by time (7) or spell a key (8); a producer of the platform may give any, but what the writer shows has metadata.
 */
export function ourId({ name, metadata }: Listed): string | undefined {
  const id = parseFeedKey(name)?.id;
  if (id === undefined || !isUuid(id)) {
    return undefined;
  }
  const made = /^.{14}[78]/.test(id);
  return made || (metadata as Partial<FeedItem> | null | undefined)?.id === id ? id.toLowerCase() : undefined;
}

/** What KV is to hold of a use; undefined when it has left the feed, or is of an account that no key can name. */
export function entryOf(use: Use, nowMs: number): FeedEntry | undefined {
  return isAccount(use.account) ? feedEntry(use, nowMs) : undefined;
}

/** KV may keep an entry for a little longer than it was told. */
const lateS = 300;

/** Compares an entry that KV lists with its use in the journal, if there is one. Its value is looked at when its use is. */
export function compareListed(listed: Listed, use: Use | undefined, nowMs: number): FeedFinding | undefined {
  const { name, metadata, expiration } = listed;
  const found = (kind: Kind, why: string, entry?: FeedEntry) => {
    const before = metadata === undefined || metadata === null ? null : JSON.stringify(metadata);
    return { key: name, kind, why, before, entry };
  };
  if (use === undefined) {
    return found("foreign", "the journal has no such use: written by hand, or the ledger was restored to a time before it");
  }
  const entry = entryOf(use, nowMs);
  if (entry === undefined) {
    return expiration !== undefined && expiration <= nowMs / 1000 + lateS
      ? undefined
      : found(
          "old",
          "the use has left the feed, and its entry was given a longer life: no projection does that, so it was changed by hand",
        );
  }
  if (entry.name !== name) {
    return found("foreign", "the journal has this use of another account or time: written by hand");
  }
  if (!same(metadata ?? null, entry.metadata ?? null) || expiration !== entry.expiration) {
    return found("wrong", "the list shows other facts than the journal: no projection writes that, so it was changed by hand", entry);
  }
  return undefined;
}

/** Compares the value of a use's entry with the journal. The use is old enough for its projection to have arrived. */
export function compareValue(entry: FeedEntry, text: string | null): FeedFinding | undefined {
  if (text === entry.value) {
    return undefined;
  }
  const found = (kind: Kind, why: string) => ({ key: entry.name, kind, why, before: text, entry });
  if (text === null) {
    return found("missing", "the journal has the use and KV has no entry: it was deleted, or its projection was lost");
  }
  return isItem(text)
    ? found("wrong", "the entry says other than the journal: no projection writes that, so it was changed by hand")
    : found("unreadable", "the entry is not in this platform's form: it was written by hand");
}

function isItem(text: string): boolean {
  try {
    const item = JSON.parse(text) as Partial<FeedItem> | null;
    return typeof item?.id === "string" && typeof item.cost_credits === "number";
  } catch {
    return false;
  }
}

/** Whether two values of JSON say the same; a store may have changed the order of members. Nothing is copied: most are the same. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return a === b;
  }
  const names = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && same((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]))
  );
}
