import { waitUntil } from "cloudflare:workers";

import { NOTE_HEADER, type NoteLine } from "../../shared/src/admin-note";
import { REQUEST_ID_HEADER } from "../../shared/src/caller";
import { within } from "../../shared/src/deadline";
import { Problem } from "../../shared/src/problem";
import type { Env } from "./env.gen";
import type { Inward } from "./forward";
import type { Incoming } from "./incoming";
import type { Target } from "./table";

const noteTimeoutMs = 10_000;

/** A reading changes nothing, and the contract says of what else may not wait for the log. */
function isKeptFirst(target: Target, method: string): boolean {
  return target.audited !== "after" && method !== "GET" && method !== "HEAD";
}

/**
 * Makes a call of an operator, and keeps who asked for what and what came of it, on users' paths too: with the key one reads and changes
 * what is another's. A change that cannot be kept is not made. The gateway does this and no service: here every call with the admin key
 * comes by, with its outcome.
 */
export async function audited(
  incoming: Incoming,
  env: Env,
  target: Target,
  inward: Inward,
  send: () => Promise<Response>,
): Promise<Response> {
  const line = asked(incoming, target, inward);
  const before = isKeptFirst(target, incoming.method);
  if (before) {
    await keep(env, [line], inward.requestId);
  }
  let response: Response;
  try {
    response = await send();
  } catch (error) {
    const [status, code] = error instanceof Problem ? [error.status, error.code] : [500, "internal_error"];
    await settle(env, before, [line, { ...line, phase: "answered", status, error: code }], inward.requestId);
    throw error;
  }
  const { status } = response;
  const outcome = { status, error: status < 400 ? null : await codeOf(response), detail: detailOf(response) ?? whichOf(target, inward) };
  await settle(env, before, [line, { ...line, phase: "answered", ...outcome }], inward.requestId);
  const told = new Response(response.body, response);
  told.headers.delete(NOTE_HEADER);
  return told;
}

function asked(incoming: Incoming, target: Target, { requestId, caller }: Inward): NoteLine {
  return {
    phase: "asked",
    call: crypto.randomUUID(),
    request_id: requestId,
    action: `${incoming.method} ${target.path}`,
    // The key names nobody: this is who the caller says they are.
    actor: incoming.header("x-admin-actor"),
    acting_for: caller.id,
    address: incoming.header("cf-connecting-ip"),
  };
}

/** What is known by now cannot undo what was done: a line that is lost here is in the Worker's log, and its "asked" stands. */
async function settle(env: Env, before: boolean, [line, end]: [NoteLine, NoteLine], requestId: string): Promise<void> {
  const kept = keep(env, before ? [end] : [line, end], requestId).catch((error: unknown) => {
    const cause = error instanceof Problem ? String(error.cause) : String(error);
    console.error(JSON.stringify({ worker: "cognomega-api", what: "the admin log misses a line", line: end, cause }));
  });
  if (before) {
    await kept;
  } else {
    waitUntil(kept);
  }
}

async function keep(env: Env, lines: readonly NoteLine[], requestId: string): Promise<void> {
  let cause: unknown;
  try {
    const headers = { [REQUEST_ID_HEADER]: requestId };
    const request = env.ADMIN.fetch("https://service/_note", { method: "POST", headers, body: JSON.stringify({ lines }) });
    const answer = await within(noteTimeoutMs, request, () => new Problem(504, "service_timeout"));
    if (answer.ok) {
      return;
    }
    cause = new Error(`admin-svc answers ${answer.status} ${await codeOf(answer)}`);
  } catch (error) {
    cause = error;
  }
  throw new Problem(503, "admin_log_unavailable", "What operators do is kept first, and cannot be kept now: nothing was done.", {
    cause,
    headers: { "retry-after": "5" },
  });
}

/** The code of an error, of an answer whose body somebody else still reads. */
async function codeOf(response: Response): Promise<string | null> {
  try {
    const { error } = await response.clone().json<{ error?: unknown }>();
    return typeof error === "string" ? error : null;
  } catch {
    return null;
  }
}

/** Which of a path's things the call was about, where the service says nothing. A query is never kept: it may hold what nobody should read. */
function whichOf(target: Target, { resource }: Inward): Record<string, unknown> | undefined {
  return target.path.includes(":") ? { path: resource.split("?", 1)[0]?.slice(0, 1024) } : undefined;
}

/** What a service says that the call was about: never a secret, and never more than a line. */
function detailOf(response: Response): Record<string, unknown> | undefined {
  const said = response.headers.get(NOTE_HEADER);
  return said === null ? undefined : (JSON.parse(said) as Record<string, unknown>);
}
