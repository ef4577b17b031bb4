import { readBytes, refuseLongBody } from "../../shared/src/body";
import { CALLER_HEADER, type Caller, encodeCaller, REQUEST_ID_HEADER } from "../../shared/src/caller";
import { FORWARD_HEADERS, LIMITS } from "../../shared/src/contract.gen";
import { Problem } from "../../shared/src/problem";
import type { Target } from "./table";

export interface Inward {
  /** Path and query as the service knows them. */
  readonly resource: string;
  readonly caller: Caller;
  readonly requestId: string;
}

/** Sends a request to its service. A service that fails is 502, one that does not begin to answer in time is 504. */
export async function forward(request: Request, service: Fetcher, target: Target, inward: Inward): Promise<Response> {
  const body = await bodyOf(request, target.maxBody);
  const timeout = new AbortController();
  // Cleared once the answer begins: what is streamed may take longer.
  const timer = setTimeout(() => timeout.abort(), LIMITS.serviceTimeoutMs);
  try {
    return await service.fetch(`https://service${inward.resource}`, {
      method: request.method,
      headers: inwardHeaders(request.headers, inward),
      body,
      redirect: "manual",
      signal: timeout.signal,
    });
  } catch (error) {
    throw timeout.signal.aborted
      ? new Problem(504, "service_timeout", undefined, { cause: error })
      : new Problem(502, "service_failed", undefined, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** What comes from outside is dropped unless it is listed, so that no spelling of an internal header can get in. */
function inwardHeaders(outside: Headers, inward: Inward): Headers {
  const headers = new Headers();
  for (const name of FORWARD_HEADERS) {
    const value = outside.get(name);
    if (value !== null) {
      headers.set(name, value);
    }
  }
  headers.set(REQUEST_ID_HEADER, inward.requestId);
  if (inward.caller.id !== null || inward.caller.admin) {
    headers.set(CALLER_HEADER, encodeCaller(inward.caller));
  }
  return headers;
}

/** A body of declared length streams through; one without is counted here, before the service sees any of it. */
async function bodyOf(request: Request, max: number): Promise<BodyInit | null> {
  if (request.body === null) {
    return null;
  }
  const length = request.headers.get("content-length");
  refuseLongBody(length, max);
  return length === null ? readBytes(request, max) : request.body;
}
