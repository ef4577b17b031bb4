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
