import { ERROR_FORMATS } from "./contract.gen";

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

/**
 * Makes any thrown value an answer, in the format of the path it was asked at. What is not a Problem is a defect: the caller learns
 * the request id, the log learns the rest.
 */
export function answerError(error: unknown, worker: string, requestId: string, path = ""): Response {
  const problem = error instanceof Problem ? error : new Problem(500, "internal_error", undefined, { cause: error });
  if (problem.status >= 500) {
    logProblem(problem, worker, requestId);
  }
  return json(bodyOf(problem, path), problem.status, problem.headers);
}

function bodyOf({ status, code, detail }: Problem, path: string): object {
  if ((ERROR_FORMATS as Record<string, string>)[path] === "openai") {
    return { error: { message: detail ?? code, type: openaiType(status), param: null, code } };
  }
  return detail === undefined ? { error: code } : { error: code, detail };
}

/** The type that OpenAI gives an error of this status; its clients tell what may be asked again by the status alone. */
function openaiType(status: number): string {
  if (status >= 500) {
    return "server_error";
  }
  return status === 402 ? "insufficient_quota" : status === 429 ? "requests" : "invalid_request_error";
}

function logProblem(problem: Problem, worker: string, requestId: string): void {
  const cause = problem.cause instanceof Error ? (problem.cause.stack ?? problem.cause.message) : problem.cause;
  console.error(
    JSON.stringify({ worker, request_id: requestId, status: problem.status, error: problem.code, cause: cause && String(cause) }),
  );
}
