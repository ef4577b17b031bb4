/** The one error of the Workers: the code is what clients read, the detail is for people, the cause is for the log alone. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string | undefined;
  readonly headers: Record<string, string> | undefined;

  constructor(status: number, code: string, detail?: string, options?: { cause?: unknown; headers?: Record<string, string> }) {
    super(code, options?.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.headers = options?.headers;
  }
}

/** Answers with JSON that no cache keeps, unless headers say otherwise. */
export function json(body: unknown, status = 200, headers?: Record<string, string>): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers },
  });
}

/** Makes any thrown value an answer. What is not a Problem is a defect: the caller learns the request id, the log learns the rest. */
export function answerError(error: unknown, worker: string, requestId: string): Response {
  const problem = error instanceof Problem ? error : new Problem(500, "internal_error", undefined, { cause: error });
  if (problem.status >= 500) {
    logProblem(problem, worker, requestId);
  }
  const body = problem.detail === undefined ? { error: problem.code } : { error: problem.code, detail: problem.detail };
  return json(body, problem.status, problem.headers);
}

function logProblem(problem: Problem, worker: string, requestId: string): void {
  const cause = problem.cause instanceof Error ? (problem.cause.stack ?? problem.cause.message) : problem.cause;
  console.error(
    JSON.stringify({ worker, request_id: requestId, status: problem.status, error: problem.code, cause: cause && String(cause) }),
  );
}
