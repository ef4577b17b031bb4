/** What went wrong with one attempt at one model. */
export type FailureKind =
  | "unreachable" // no connection, no name, no handshake, or one that ended before the answer
  | "denied" // the key is refused, or the model is not there for it
  | "unpaid" // the provider's account is out of money
  | "limited" // too many requests
  | "failed" // the provider says that it is its own fault
  | "rejected" // the provider takes this very request for wrong
  | "late" // no answer, or no content, in time
  | "stalled" // content came, and then none for too long
  | "cut" // the answer ended before its end
  | "malformed" // what came is not in the provider's format
  | "empty"; // a well-formed answer that says nothing

/** One attempt that did not answer. Its detail is for the log alone: it may quote the provider. */
export class Failure extends Error {
  readonly kind: FailureKind;
  /** Milliseconds that the provider asked to be left alone for. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: FailureKind, detail: string, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(`${kind}: ${detail}`, options?.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Makes any thrown value a failure: what is not one already came from the network. */
export function failureOf(error: unknown): Failure {
  return error instanceof Failure ? error : new Failure("unreachable", String(error), { cause: error });
}

/** Words in a provider's error that mean money, whatever the status: some say 400 or 429 when a budget is used up. */
const money = /quota|billing|budget|credit|payment|daily free allocation/i;

/**
 * Judges an error status. 52x and 530 are Cloudflare's own, for a way to the provider that failed. The provider's words are looked at and
 * not kept: some quote the key.
 */
export function failureOfStatus(status: number, text: string, retryAfter: string | null, now: number): Failure {
  const detail = `status ${status}`;
  if (status === 402 || (status >= 400 && status < 500 && status !== 401 && money.test(text))) {
    return new Failure("unpaid", detail);
  }
  if (status === 401 || status === 403 || status === 404) {
    return new Failure("denied", detail);
  }
  if (status === 429) {
    return new Failure("limited", detail, { retryAfterMs: parseRetryAfter(retryAfter, now) });
  }
  if (status >= 520) {
    return new Failure("unreachable", detail);
  }
  if (status >= 500 || status === 408) {
    return new Failure("failed", detail, { retryAfterMs: parseRetryAfter(retryAfter, now) });
  }
  return status >= 400 ? new Failure("rejected", detail) : new Failure("malformed", detail);
}

/** Workers AI's own numbers, which begin the message of what env.AI throws. */
const aiCodes: Readonly<Record<string, FailureKind>> = {
  "3003": "rejected",
  "3006": "rejected",
  "3036": "unpaid",
  "3040": "limited",
  "4006": "unpaid",
  "5004": "rejected",
  "5006": "rejected",
  "5007": "denied",
  "10000": "denied",
};

/** Judges what env.AI threw. */
export function failureOfAi(error: unknown): Failure {
  if (error instanceof Failure) {
    return error;
  }
  const message = String((error as { message?: unknown } | null)?.message ?? error);
  const code = /\b(\d{4,5}): /.exec(message)?.[1];
  if (code === undefined) {
    return new Failure("unreachable", "the binding threw", { cause: error });
  }
  return new Failure(aiCodes[code] ?? (money.test(message) ? "unpaid" : "failed"), `code ${code}`, { cause: error });
}

/** Reads Retry-After: seconds, or a date. What cannot be read is as if it were not there. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) {
    return undefined;
  }
  if (/^\d{1,9}(\.\d+)?$/.test(header.trim())) {
    return Number(header) * 1000;
  }
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
