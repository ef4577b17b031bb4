import { KEYS, key } from "../keys";
import { creditsOf, microOf } from "./micro";

/** What an account has, as the ledger says it. Amounts are whole micro-credits; version rises with every change. */
export interface Balance {
  readonly account: string;
  readonly balance: number;
  readonly held: number;
  readonly overage: number;
  readonly version: number;
  readonly updated_at_ms: number;
}

/** A balance as KV holds it. Old clients read the first two members. */
export interface StoredBalance {
  readonly balance_credits: number;
  readonly updated_at: string;
  readonly held_credits: number;
  readonly owed_credits: number;
  /** Of the ledger's row: of two copies, the one with the higher version is the newer. */
  readonly version: number;
  /** When the ledger said so. */
  readonly as_of: string;
}

export function balanceKey(account: string): string {
  return key(KEYS.balance, { email: account });
}

/** The account of a balance's key, or undefined for any other key. */
export function accountOfKey(name: string): string | undefined {
  return name.startsWith("balance:") ? name.slice("balance:".length) : undefined;
}

export function stored(balance: Balance, asOfMs: number): StoredBalance {
  return {
    balance_credits: creditsOf(balance.balance),
    updated_at: new Date(balance.updated_at_ms).toISOString(),
    held_credits: creditsOf(balance.held),
    owed_credits: creditsOf(balance.overage),
    version: balance.version,
    as_of: new Date(asOfMs).toISOString(),
  };
}

/** Reads what KV holds; undefined for what this platform did not write, such as a balance of the one before it, which has no version. */
export function parseBalance(text: string | null | undefined): StoredBalance | undefined {
  if (text === null || text === undefined) {
    return undefined;
  }
  let value: Partial<StoredBalance> | null;
  try {
    value = JSON.parse(text) as Partial<StoredBalance> | null;
  } catch {
    return undefined;
  }
  const whole =
    isMoney(value?.balance_credits) && isMoney(value?.held_credits) && isMoney(value?.owed_credits) && Number.isSafeInteger(value?.version);
  return whole && isTime(value?.updated_at) && isTime(value?.as_of) ? (value as StoredBalance) : undefined;
}

function isMoney(value: unknown): boolean {
  return typeof value === "number" && microOf(value) !== undefined;
}

function isTime(value: unknown): boolean {
  return typeof value === "string" && !Number.isNaN(Date.parse(value));
}

/** Tells whether a copy says what the ledger says; when it was taken does not matter. */
export function agrees(copy: StoredBalance, balance: Balance): boolean {
  return (
    copy.version === balance.version &&
    microOf(copy.balance_credits) === balance.balance &&
    microOf(copy.held_credits) === balance.held &&
    microOf(copy.owed_credits) === balance.overage
  );
}

/** What clients are shown; the names that differ are for clients of different ages. */
export function balancePayload(email: string, copy: StoredBalance, stale = false): Record<string, unknown> {
  const { balance_credits, updated_at, held_credits, owed_credits, as_of } = copy;
  return {
    email,
    balance_credits,
    credits: balance_credits,
    balance: balance_credits,
    updated_at,
    updated: updated_at,
    held_credits,
    owed_credits,
    as_of,
    ...(stale ? { stale } : {}),
  };
}
