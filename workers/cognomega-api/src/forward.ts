import { readBytes, refuseLongBody } from "../../shared/src/body";
import { CALLER_HEADER, type Caller, encodeCaller, REQUEST_ID_HEADER } from "../../shared/src/caller";
import { within } from "../../shared/src/deadline";
import { Problem } from "../../shared/src/problem";
import type { Incoming } from "./incoming";
import type { Target } from "./table";

export interface Inward {
  /** Path and query as the service knows them. */
  readonly resource: string;
  readonly caller: Caller;
  readonly requestId: string;
  /** How long the service may take to begin its answer, instead of the contract's limit. */
  readonly timeoutMs?: number;
}

/** Sends a request to its service. A service that fails is 502, one that does not begin to answer in time is 504. */
export async function forward(incoming: Incoming, service: Fetcher, target: Target, inward: Inward): Promise<Response> {
  const { method } = incoming;
  const headers = inwardHeaders(incoming.headers, target.forwarded, inward);
  // The runtime reads each member that is given, so a GET, which most requests are, gives no more than it needs.
  const init: RequestInit =
    method === "GET" ? { headers, redirect: "manual" } : { method, headers, body: await bodyOf(incoming, target), redirect: "manual" };
  try {
    // Within the try: a binding that is not there throws here, which is a service that fails and no defect of the caller's request.
    const answering = service.fetch(`https://service${inward.resource}`, init);
    return await within(inward.timeoutMs ?? target.timeoutMs, answering, () => new Problem(504, "service_timeout"));
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(502, "service_failed", undefined, { cause: error });
  }
}

/**
 * What comes from outside is dropped unless it is listed, so that no spelling of an internal header can get in. The names are the
 * list's own strings: V8 keeps one copy of those, while a name out of the runtime is a new string each time.
 */
function inwardHeaders(outside: ReadonlyMap<string, string>, forwarded: readonly string[], inward: Inward): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of forwarded) {
    const value = outside.get(name);
    if (value !== undefined) {
      headers[name] = value;
    }
  }
  headers[REQUEST_ID_HEADER] = inward.requestId;
  if (inward.caller.id !== null || inward.caller.admin) {
    headers[CALLER_HEADER] = encodeCaller(inward.caller);
  }
  return headers;
}

/** A body of declared length streams through; one without is counted here, before the service sees any of it, unless it is too long for that. */
async function bodyOf({ request, method, headers }: Incoming, { maxBody: max, streams }: Target): Promise<BodyInit | null> {
  if (method === "HEAD" || request.body === null) {
    return null;
  }
  const length = headers.get("content-length") ?? null;
  if (length === null && streams) {
    throw new Problem(411, "length_required", "Content-Length is not given.");
  }
  refuseLongBody(length, max);
  return length === null ? readBytes(request, max) : request.body;
}
