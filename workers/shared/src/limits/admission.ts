import type { Caller } from "../caller";
import { ALLOWANCES } from "../contract.gen";
import { within } from "../deadline";
import { Problem } from "../problem";
import { rateHeaders, seconds } from "./headers";
import type { Admission, Limits } from "./limits";
import { type Subject, subjectsOf } from "./subject";

/** A call that may go on. */
export interface Admitted {
  /** What the answer says of the caller's limit. */
  readonly headers: Readonly<Record<string, string>>;
  /** Puts what the call cost in the place of what was held for it: once, whatever it says first. 0 gives all back. */
  settle(micro: number): Promise<void>;
}

/** One subject, what it said, and its object. */
interface Asked {
  readonly subject: Subject;
  readonly limits: Limits;
  /** Undefined: it did not answer. */
  readonly said: Admission | undefined;
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

const { decideMs } = ALLOWANCES.keeping;

/**
 * Asks the limiters of a caller and of its tenant, at once, whether a call may go on that takes so much of a rate and costs at most so much.
 * All must admit it; what some took of one that others refused is given back.
 */
export async function admit(
  namespace: DurableObjectNamespace,
  caller: Caller,
  { weight, micro, waitUntil }: { weight: number; micro: number; waitUntil: (promise: Promise<unknown>) => void },
): Promise<Admitted> {
  const id = crypto.randomUUID();
  const asked = await Promise.all(
    subjectsOf(caller).map(async (subject): Promise<Asked> => {
      const limits = namespace.getByName(subject.name) as unknown as Limits;
      const { allowance, account } = subject;
      const wanted = { id, weight, micro, ...(account === undefined ? {} : { account }) };
      return { subject, limits, said: await saidBy(subject, () => limits.admit(allowance, wanted)) };
    }),
  );
  const problem = problemOf(asked);
  if (problem !== undefined) {
    waitUntil(Promise.all(asked.map((one) => giveBack(one, id, weight))));
    throw problem;
  }
  let open = micro > 0;
  return {
    headers: headersOf(asked[0]),
    async settle(cost) {
      if (open) {
        open = false;
        await Promise.all(asked.map((one) => settled(one, id, cost)));
      }
    },
  };
}

async function saidBy({ name }: Subject, ask: () => Promise<Admission>): Promise<Admission | undefined> {
  try {
    return await within(decideMs, ask(), () => new Problem(504, "limiter_timeout"));
  } catch (error) {
    console.error(JSON.stringify({ what: "limiter down", subject: name.split(":")[0], cause: String(error) }));
    return undefined;
  }
}

/** Why a call may not go on: the first that says no, else one that is down and whose calls nobody would pay for. */
function problemOf(asked: readonly Asked[]): Problem | undefined {
  for (const { subject, said } of asked) {
    if (said !== undefined && said.outcome !== "admitted") {
      return refusal(subject, said);
    }
  }
  const down = asked.some(({ subject, said }) => said === undefined && subject.allowance.whenDown === "refuse");
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

function headersOf(asked: Asked | undefined): Record<string, string> {
  return asked?.said === undefined ? {} : headersFor(asked.subject, asked.said);
}

function headersFor({ name }: Subject, said: Admission): Record<string, string> {
  return rateHeaders(name.startsWith("caller:") ? "caller" : "tenant", said.rate, said);
}

/** One that did not answer may have admitted it all the same. */
async function giveBack({ subject, limits, said }: Asked, id: string, weight: number): Promise<void> {
  if (said === undefined || said.outcome === "admitted") {
    await heard("not given back", () => limits.cancel(subject.allowance, id, weight));
  }
}

async function settled({ subject, limits }: Asked, id: string, micro: number): Promise<void> {
  await heard("not settled", () => limits.settle(subject.allowance, id, micro));
}

/** Between the tries, in milliseconds. Under one id it may be said twice; what is not heard at all is let go when its hold ends. */
const pausesMs = [50, 500, 3_000];

async function heard(what: string, say: () => Promise<unknown>): Promise<void> {
  for (let n = 0; ; n++) {
    try {
      await say();
      return;
    } catch (error) {
      const pause = pausesMs[n];
      if (pause === undefined) {
        console.error(JSON.stringify({ what: `limiter: ${what}`, cause: String(error) }));
        return;
      }
      await scheduler.wait(pause);
    }
  }
}
