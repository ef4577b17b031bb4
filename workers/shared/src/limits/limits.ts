import { ALLOWANCES } from "../contract.gen";
import type { Granted, Told } from "./advance";
import type { Budget } from "./budget";
import type { Word as Leased } from "./lease";
import type { Rate } from "./rate";

/** A rate, and what may be spent in a day. */
export interface Allowance {
  readonly rate: Rate;
  /** Micro-credits a day. */
  readonly micro: number;
  /** Where several objects keep it together: the one that is asked has a share of the rate, and spends what the lender lends it. */
  readonly of?: Sharing;
}

export interface Sharing {
  /** The names of the object that has the whole, and of the shard. */
  readonly lender: string;
  readonly shard: string;
  readonly shards: number;
}

/** What a lender says: how much it lent to a shard in all in a window of the budget, and what limits of its own it has. */
export interface Lending {
  readonly window: number;
  readonly micro: number;
  readonly own: Own | null;
}

/** An allowance of one caller or tenant alone, in the place of the contract's; what it leaves out is the contract's. */
export interface Own {
  readonly rate?: Rate;
  readonly micro?: number;
  /** After which the contract's counts again. */
  readonly untilMs?: number;
  /** Who set it, and why. */
  readonly actor: string;
  readonly reason: string;
}

/** What a call asks for: `micro` is the most that it may cost, 0 where it costs nothing. */
export interface Wanted {
  readonly id: string;
  readonly weight: number;
  readonly micro: number;
  /** The account of the ledger that pays, if any: what it has spent today counts though this object has not seen it. */
  readonly account?: string;
}

export interface Admission {
  readonly outcome: "admitted" | "rate" | "budget";
  /** The rate that counted. */
  readonly rate: Rate;
  readonly remaining: number;
  readonly resetMs: number;
  /** Until the same would be admitted, if nobody else comes; undefined when it never will be. */
  readonly retryMs?: number;
  /** What may still be reserved. */
  readonly micro: number;
}

export interface Standing {
  readonly allowance: Allowance;
  readonly own: Own | null;
  readonly remaining: number;
  readonly resetMs: number;
  readonly spent: number;
  readonly held: number;
  readonly holds: number;
  readonly left: number;
  readonly dayEndsMs: number;
}

/** One whose limits count, as its limiter is told of it: the name of its object, what the contract gives it, and who pays for it. */
export interface Limited {
  readonly name: string;
  readonly allowance: Allowance;
  /** The account of the ledger, if any. */
  readonly account?: string;
}

/** A question, to all whose limits it falls under; without an answer from one that is down. */
export interface Question extends Omit<Wanted, "account"> {
  readonly subjects: readonly Limited[];
}
export type Said = readonly (Admission | null)[];

/** What came of a question that was admitted. */
export interface Outcome {
  readonly subjects: readonly Limited[];
  readonly id: string;
  readonly micro: number;
}

/** What became of what was taken in advance of one whose limits count, and what its limiter says to that; null: it did not answer. */
export interface Word {
  readonly subject: Limited;
  readonly told: Told;
}
export type Answers = readonly (Heard | null)[];

/** What a limiter grants in advance, and of which rate. */
export interface Heard extends Omit<Granted, "changes" | "counted"> {
  readonly rate: Rate;
}

/** A limiter as those see it who ask it. */
export interface Limits {
  admit(allowance: Allowance, wanted: Wanted): Promise<Admission>;
  settle(allowance: Allowance, id: string, micro: number): Promise<{ readonly micro: number; readonly excess: number }>;
  /** Hears what became of what was taken in advance, and grants more. */
  advance(allowance: Allowance, told: Told, account?: string): Promise<Heard>;
  renew(id: string): Promise<void>;
  cancel(allowance: Allowance, id: string, weight: number): Promise<void>;
  show(allowance: Allowance): Promise<Standing>;
  /** Lends to a shard what it says that it wants. */
  lend(allowance: Allowance, sharing: Sharing, word: Leased): Promise<Lending>;
  /** A shard gives back what it neither spent nor holds. */
  giveBack(): Promise<Leased>;
  set(own: Own | null): Promise<void>;
}

export const dayMs = 86_400_000;

const { holdMs, rememberMs } = ALLOWANCES.keeping;

/** The budget of a day that begins at midnight, UTC. */
export function budgetOf({ micro }: Allowance): Budget {
  return { micro, windowMs: dayMs, holdMs, rememberMs };
}

/** What counts now of an allowance and an own one. */
export function effective(allowance: Allowance, own: Own | null, nowMs: number): Allowance {
  return own === null || (own.untilMs !== undefined && own.untilMs <= nowMs)
    ? allowance
    : { ...allowance, rate: own.rate ?? allowance.rate, micro: own.micro ?? allowance.micro };
}

/** A shard's part of a rate: all of them together admit what the whole does, and never more. */
export function shareOf({ count, periodMs, burst }: Rate, shards: number): Rate {
  return { count, periodMs: periodMs * shards, burst: Math.max(1, Math.floor(burst / shards)) };
}
