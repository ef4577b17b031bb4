import { agrees, type Balance, parseBalance } from "../../shared/src/money/balance";

/** How KV can differ from the ledger. */
export type Kind = "missing" | "old" | "wrong" | "ahead" | "unreadable" | "foreign";

/** One difference: what it is, how it came about as far as can be told, and what is put in its place. */
export interface Finding {
  readonly key: string;
  readonly kind: Kind;
  readonly why: string;
  /** What KV held; it is kept, because a repair overwrites it. */
  readonly before: string | null;
  /** What the ledger says; null when the entry is taken away. */
  readonly after: Balance | null;
}

/** How long a change of the ledger may be on its way to KV. */
export const inFlightMs = 5_000;

/** Compares an account's entry with the ledger. Undefined when they agree. */
export function compare(name: string, balance: Balance, text: string | null, nowMs: number): Finding | undefined {
  const copy = parseBalance(text);
  if (copy !== undefined && agrees(copy, balance)) {
    return undefined;
  }
  const found = (kind: Kind, why: string): Finding => ({ key: name, kind, why, before: text, after: balance });
  const age = `${Math.round((nowMs - balance.updated_at_ms) / 1000)} s ago`;
  if (text === null) {
    return found(
      "missing",
      `the ledger changed the account ${age} (version ${balance.version}) and KV has no entry: it was deleted, its write failed, or it is not seen here yet`,
    );
  }
  if (copy === undefined) {
    return found("unreadable", "the entry is not in this platform's form: it was written by hand, or by the platform before this one");
  }
  if (copy.version < balance.version) {
    return found(
      "old",
      `KV has version ${copy.version} of ${copy.as_of}, the ledger has ${balance.version} since ${age}: the write failed, an older one came after it, or it is not seen here yet`,
    );
  }
  if (copy.version > balance.version) {
    return found(
      "ahead",
      `KV has version ${copy.version}, the ledger has ${balance.version}: written by hand, or the ledger was restored to an earlier time`,
    );
  }
  return found(
    "wrong",
    `KV has version ${copy.version} as the ledger does, with other amounts: no projection writes that, so it was changed by hand`,
  );
}

/**
 * When a difference can be told from a change that is on its way. How long ago the account changed last does not tell by itself: one
 * that changes all the time always changed a moment ago, however old its entry is. So what the ledger had at the first look has until
 * then to arrive.
 */
export function tellableMs({ kind, after }: Finding): number {
  return after !== null && (kind === "missing" || kind === "old") ? after.updated_at_ms + inFlightMs : 0;
}

/** Compares a second time, after a first that found a difference. Undefined when what the first missed has arrived. */
export function compareAgain(first: Finding, balance: Balance, text: string | null, nowMs: number): Finding | undefined {
  const version = parseBalance(text)?.version ?? -1;
  const arrived = first.after !== null && version >= first.after.version && version < balance.version;
  return arrived ? undefined : compare(first.key, balance, text, nowMs);
}

/** An entry of an account that the ledger does not have. */
export function foreign(name: string, text: string | null): Finding {
  const old = parseBalance(text) === undefined;
  return {
    key: name,
    kind: "foreign",
    why: old
      ? "the ledger has no such account: written by hand, or a balance of the platform before this one that was not brought over"
      : "the ledger has no such account: written by hand, or the ledger was restored to a time before it",
    before: text,
    after: null,
  };
}
