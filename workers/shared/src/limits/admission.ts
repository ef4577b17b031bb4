import type { Caller } from "../caller";
import { ALLOWANCES } from "../contract.gen";
import { Problem } from "../problem";
import { Advances, type Asking, type Taken } from "./advances";
import { Desk } from "./desk";
import { rateHeaders, seconds } from "./headers";
import type { Admission, Said } from "./limits";
import { askedOf, type Subject, subjectsOf } from "./subject";

/** A call that may go on. */
export interface Admitted {
  /** What the answer says of the caller's limit. */
  readonly headers: Readonly<Record<string, string>>;
  /** Puts what the call cost in the place of what was held for it: once, whatever it says first. 0 gives all back. */
  settle(micro: number): Promise<void>;
}

/** A budget has less left than a call may cost; with what is left a smaller one may be asked for. */
export class OutOfBudget extends Problem {
  /** In micro-credits, of the budget that refused. */
  readonly left: number;

  constructor(detail: string, left: number, headers: Record<string, string>) {
    super(429, "budget_exhausted", detail, { headers });
    this.left = left;
  }
}

/** What a call takes of the rate, and the most that it may cost. */
interface Call {
  readonly weight: number;
  readonly micro: number;
}

const { holdMs } = ALLOWANCES.keeping;

const advances = new Advances();

/**
 * Takes of its caller's limits and of its tenant's what a call may cost. All must admit it: of what was taken in advance of those that
 * are asked often, by their limiter else. It is held until it is settled, however long the call goes on.
 */
export async function admit(
  limiter: Fetcher,
  caller: Caller,
  { waitUntil, ...call }: Call & { waitUntil: (promise: Promise<unknown>) => void },
): Promise<Admitted> {
  const asking = { desk: new Desk(limiter), waitUntil };
  const subjects = subjectsOf(caller).map((subject) => askedOf(subject));
  const taken = await advances.take(asking, subjects, call);
  const others = subjects.filter((_, i) => taken[i] === undefined);
  try {
    const { id, said } = await decided(asking, others, call);
    const headers = headersOf(subjects, taken, said);
    const settle = settlement({ ...asking, id, others: call.micro === 0 ? [] : others, taken: taken.filter((one) => one !== undefined) });
    if (call.micro > 0) {
      return { headers, settle };
    }
    waitUntil(settle(0)); // it holds nothing
    return { headers, settle: async () => undefined };
  } catch (error) {
    for (const one of taken) {
      one?.undo();
    }
    throw error;
  }
}

/**
 * Asks the limiter of those that have nothing in advance, under an id. What they say is in their order; nothing where it is down and that
 * is no reason to stop.
 */
async function decided(asking: Asking, subjects: readonly Subject[], call: Call, again = true): Promise<{ id: string; said: Said }> {
  const id = crypto.randomUUID();
  const question = { subjects, id, ...call };
  const said = await asking.desk.admit(question);
  const refusing = subjects.find((_, i) => (said?.[i]?.outcome ?? "admitted") !== "admitted");
  if (again && refusing !== undefined && (await advances.giveBack(asking, refusing))) {
    return decided(asking, subjects, call, false); // under another id: what the first took of others is being given back
  }
  const problem = problemOf(subjects, said);
  if (problem !== undefined) {
    if (said === undefined || said.includes(null)) {
      asking.waitUntil(asking.desk.cancel(question));
    }
    throw problem;
  }
  return { id, said: said ?? [] };
}

/** Why a call may not go on: the first that says no, else one that is down and whose calls nobody would pay for. */
function problemOf(subjects: readonly Subject[], said: Said | undefined): Problem | undefined {
  for (const [i, subject] of subjects.entries()) {
    const one = said?.[i];
    if (one && one.outcome !== "admitted") {
      return refusal(subject, one);
    }
  }
  const down = subjects.some(({ allowance }, i) => !said?.[i] && allowance.whenDown === "refuse");
  return down
    ? new Problem(503, "limiter_unavailable", "Nobody can say how much is left.", { headers: { "retry-after": "5" } })
    : undefined;
}

function refusal(subject: Subject, said: Admission): Problem {
  const whose = subject.name.startsWith("caller:") ? "You have" : "All of your tenant together have";
  const retry: Record<string, string> = said.retryMs === undefined ? {} : { "retry-after": String(seconds(said.retryMs)) };
  const headers = { ...headersFor(subject, said), ...retry };
  return said.outcome === "rate"
    ? new Problem(429, "rate_limited", `${whose} asked too often.`, { headers })
    : new OutOfBudget(`${whose} spent, or hold for calls that are not over, what a day's budget has.`, said.micro, headers);
}

function headersOf([first]: readonly Subject[], [taken]: readonly (Taken | undefined)[], [said]: Said): Record<string, string> {
  if (first === undefined || (taken === undefined && !said)) {
    return {};
  }
  if (taken !== undefined) {
    return taken.standing === undefined ? {} : headersFor(first, taken.standing);
  }
  const { rate, resetMs, remaining } = said as Admission;
  return headersFor(first, { rate, resetMs, remaining: Math.max(0, remaining - advances.unsaid(first)) });
}

function headersFor({ name }: Subject, standing: Pick<Admission, "rate" | "remaining" | "resetMs">): Record<string, string> {
  return rateHeaders(name.startsWith("caller:") ? "caller" : "tenant", standing.rate, standing);
}

/** What a call holds: by its limiter, and of what was taken in advance. */
interface Held extends Asking {
  readonly id: string;
  readonly others: readonly Subject[];
  readonly taken: readonly Taken[];
}

/** Renews what is held while the call goes on, twice before it would end, and ends it once. */
function settlement({ desk, waitUntil, id, others, taken }: Held): Admitted["settle"] {
  const renewing = setInterval(() => renew(), holdMs / 3);
  const held = others.length > 0 ? [{ subjects: others, id }] : [];
  const renew = async () => {
    const advanced = taken.map(({ subject, ahead }) => ({ subjects: [subject], id: ahead.id }));
    await Promise.all([...held, ...advanced].map((one) => desk.renew(one)));
    for (const { ahead } of taken) {
      ahead.renewed(Date.now());
    }
  };
  let open = true;
  return async (micro) => {
    clearInterval(renewing);
    if (open) {
      open = false;
      const asking = { desk, waitUntil };
      await Promise.all([...held.map((one) => desk.settle({ ...one, micro })), ...taken.map((one) => one.settle(asking, micro))]);
    }
  };
}
