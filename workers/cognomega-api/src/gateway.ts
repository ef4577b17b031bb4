import { anonymous, REQUEST_ID_HEADER } from "../../shared/src/caller";
import { addPreflight, type Origins, parseOrigins, setCors } from "../../shared/src/cors";
import { Gauge } from "../../shared/src/money/pressure";
import { answerError, Problem } from "../../shared/src/problem";
import { fillPath, splitUrl } from "../../shared/src/router";
import { audited } from "./audited";
import type { Env } from "./env.gen";
import { forward } from "./forward";
import { identify, refuseForeignCookie } from "./identity";
import { Incoming } from "./incoming";
import { ready } from "./ready";
import { findTarget, maxUrlBytes } from "./table";

const name = "cognomega-api";

const gauge = new Gauge();

/** The whole way of a request: find its path, establish its caller, send it inward, and let the right origin read the answer. */
export async function gateway(request: Request, env: Env): Promise<Response> {
  const incoming = new Incoming(request);
  const requestId = requestIdOf(incoming.header("cf-ray"));
  const origin = incoming.header("origin");
  const origins = originsOf(env);
  let response: Response;
  try {
    response = await answer(incoming, env, { origin, origins, requestId });
  } catch (error) {
    response = answerError(error, name, requestId, splitUrl(incoming.url).path);
  }
  return outward(response, { origin, origins, requestId }, incoming.method === "OPTIONS" && response.status === 204);
}

interface Scope {
  readonly origin: string | null;
  readonly origins: Origins;
  readonly requestId: string;
}

async function answer(incoming: Incoming, env: Env, { origin, origins, requestId }: Scope): Promise<Response> {
  const { method, url } = incoming;
  if (url.length > maxUrlBytes) {
    throw new Problem(414, "url_too_long");
  }
  const { path, query } = splitUrl(url);
  const match = findTarget(path);
  if (match === undefined) {
    throw new Problem(404, "not_found");
  }
  const target = match.value;
  if (method === "OPTIONS") {
    return new Response(null, { status: 204, headers: { allow: target.allow } });
  }
  if (!target.methods.has(method)) {
    throw new Problem(405, "method_not_allowed", undefined, { headers: { allow: target.allow } });
  }
  let caller = anonymous;
  if (target.auth !== "none") {
    refuseForeignCookie(incoming, origin !== null && origins.has(origin));
    caller = await identify(incoming, env, target.auth, query);
  }
  if (target.sheds.length > 0 && target.sheds.includes(method)) {
    await gauge.relieve(env.KV_BILLING, Date.now());
  }
  const inward = { resource: fillPath(target.path, match.params) + query, caller, requestId };
  const { binding } = target;
  if (binding === null) {
    return ready(incoming, env, target, inward);
  }
  const send = () => forward(incoming, env[binding], target, inward);
  return caller.admin ? audited(incoming, env, target, inward, send) : send();
}

/**
 * Every answer leaves with its request id and with this layer's CORS headers alone. A service's answer cannot be changed, so it is
 * copied inside the runtime: to read its headers here and hand them over again costs more than the changes do.
 */
function outward(response: Response, { origin, origins, requestId }: Scope, preflight: boolean): Response {
  const answered = new Response(response.body, response);
  const { headers } = answered;
  setCors(headers, origin, origins);
  if (preflight) {
    addPreflight(headers, origin, origins);
  }
  headers.set(REQUEST_ID_HEADER, requestId);
  return answered;
}

/** Cloudflare's ray id is what its own logs are searched by; anything that does not look like one is not repeated. */
function requestIdOf(ray: string | null): string {
  return ray !== null && /^[0-9a-f]{16}(-[A-Z]{3})?$/.test(ray) ? ray : crypto.randomUUID();
}

let parsed: { readonly list: string; readonly origins: Origins } | undefined;

/** The list is the same for the life of an isolate, so it is read once. */
function originsOf(env: Env): Origins {
  const list = env.ALLOWED_ORIGINS ?? "";
  if (parsed?.list !== list) {
    parsed = { list, origins: parseOrigins(list) };
  }
  return parsed.origins;
}
