import type { Caller } from "../caller";
import { ALLOWANCES } from "../contract.gen";
import { within } from "../deadline";
import { Problem } from "../problem";
import { rateHeaders, seconds } from "./headers";
import type { Admission, Outcome, Question, Said } from "./limits";
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

const { decideMs, holdMs } = ALLOWANCES.keeping;

/**
 * Asks the limiter whether a call may go on that takes so much of a rate and costs at most so much, of its caller and of its tenant. All
 * must admit it. What was taken is held until it is settled, however long the call goes on.
 */
export async function admit(
  limiter: Fetcher,
  caller: Caller,
  { weight, micro, waitUntil }: { weight: number; micro: number; waitUntil: (promise: Promise<unknown>) => void },
): Promise<Admitted> {
  const id = crypto.randomUUID();
  const subjects = subjectsOf(caller).map((subject) => askedOf(subject));
  const said = await saidOf(limiter, { subjects, id, weight, micro });
  const problem = problemOf(subjects, said);
  if (problem !== undefined) {
    if (said === undefined || said.includes(null)) {
      waitUntil(heard("not given back", () => post(limiter, "cancel", { subjects, id, weight, micro })));
    }
    throw problem;
  }
  if (micro === 0 || subjects.length === 0) {
    return { headers: headersOf(subjects, said), settle: async () => undefined };
  }
  return { headers: headersOf(subjects, said), settle: settlement(limiter, { subjects, id }) };
}

/** Undefined: the limiter did not answer. */
async function saidOf(limiter: Fetcher, question: Question): Promise<Said | undefined> {
  if (question.subjects.length === 0) {
    return [];
  }
  try {
    const answer = post(limiter, "admit", question).then((response) => response.json<Said>());
    return await within(decideMs, answer, () => new Problem(504, "limiter_timeout"));
  } catch (error) {
    console.error(JSON.stringify({ what: "limiter down", cause: String(error) }));
    return;
  }
}

async function post(limiter: Fetcher, what: string, body: Question | Outcome): Promise<Response> {
  const response = await limiter.fetch(`https://limiter/_${what}`, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) {
    throw new Problem(502, "limiter_failed", `${what}: ${response.status}`);
  }
  return response;
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

function headersOf([subject]: readonly Subject[], said: Said | undefined): Record<string, string> {
  return subject !== undefined && said?.[0] ? headersFor(subject, said[0]) : {};
}

function headersFor({ name }: Subject, said: Admission): Record<string, string> {
  return rateHeaders(name.startsWith("caller:") ? "caller" : "tenant", said.rate, said);
}

/** Renews the hold while the call goes on, twice before it would end, and ends it once. */
function settlement(limiter: Fetcher, held: Omit<Outcome, "micro">): Admitted["settle"] {
  const renewing = setInterval(() => heard("not renewed", () => post(limiter, "renew", { ...held, micro: 0 })), holdMs / 3);
  let open = true;
  return async (micro) => {
    clearInterval(renewing);
    if (open) {
      open = false;
      await heard("not settled", () => post(limiter, "settle", { ...held, micro }));
    }
  };
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
