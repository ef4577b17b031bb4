import { vi } from "vitest";

import { CALLER_HEADER, encodeCaller } from "../caller";
import { microOf } from "../money/micro";

/** Asks the limiter as an operator does, and sets limits where a body says them; money in micro-credits. */
export async function operate(limiter: Fetcher, query: string, body?: object) {
  const headers = { [CALLER_HEADER]: encodeCaller({ id: null, role: null, tenant: null, admin: true }) };
  const put = { method: "PUT", body: JSON.stringify({ ...body, reason: "test" }) };
  const response = await limiter.fetch(`https://limiter.test/api/admin/limits?${query}`, { headers, ...(body === undefined ? {} : put) });
  type Shown = { rate: { remaining: number }; budget: { spent_credits: number; held_credits: number; left_credits: number } };
  const { rate, budget } = await response.json<Shown>();
  const micro = (credits: number) => microOf(credits) as number;
  return {
    remaining: rate.remaining,
    spent: micro(budget.spent_credits),
    held: micro(budget.held_credits),
    left: micro(budget.left_credits),
  };
}

/**
 * Has no code of this isolate wait. Who asks a third time within a second takes of its limits in advance, and its request is over when that
 * was given back, a second later: a test that asks often and looks at what comes after an answer would wait for that each time.
 */
export function waitForNothing(): void {
  vi.spyOn(scheduler, "wait").mockResolvedValue(undefined);
}
