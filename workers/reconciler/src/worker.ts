import { noted } from "../../shared/src/admin-note";
import { openDatabase } from "../../shared/src/database";
import { publishPressure } from "../../shared/src/money/pressure";
import { json, Problem } from "../../shared/src/problem";
import { type Call, createWorker } from "../../shared/src/worker";
import { Books, type Pass } from "./books";
import type { Env } from "./env.gen";
import { reconcile } from "./pass";

/** Cloudflare calls once a minute at most; a second pass in between halves the time that a difference lives. */
const secondPassMs = 30_000;

const service = createWorker<"reconciler", Env>("reconciler", { "POST /api/admin/reconcile": runNow });

export default {
  ...service,
  async scheduled(_controller, env) {
    const second = scheduler.wait(secondPassMs);
    await guard(env);
    await second;
    await guard(env);
  },
} satisfies ExportedHandler<Env>;

/** A pass that fails changes nothing about the next one: it begins where the last that was recorded ended. */
async function guard(env: Env): Promise<void> {
  const done = await Promise.allSettled([pass(env), publishPressure(env.USAGE, env.KV_BILLING, Date.now())]);
  for (const { reason } of done.filter((settled) => settled.status === "rejected")) {
    log("pass failed", { cause: reason instanceof Error ? `${reason.message}: ${reason.cause}` : String(reason) });
  }
}

async function pass(env: Env): Promise<Pass> {
  const db = openDatabase(env.DB);
  try {
    const done = await reconcile(env.KV_BILLING, new Books(db));
    if (done.findings.length > 0 || !done.complete) {
      log("drift", { found: done.findings.length, complete: done.complete, kinds: done.findings.map(({ kind }) => kind).slice(0, 20) });
    }
    return done;
  } finally {
    await db.close();
  }
}

/** One pass now, for an operator who does not want to wait. */
async function runNow(call: Call<Env>): Promise<Response> {
  if (!call.caller.admin) {
    throw new Problem(403, "forbidden", "This needs the admin key.");
  }
  try {
    const done = await pass(call.env);
    return noted(json({ ok: true, ...done }), { findings: done.findings.length, complete: done.complete });
  } catch (error) {
    throw new Problem(503, "ledger_unavailable", undefined, { cause: error, headers: { "retry-after": "5" } });
  }
}

function log(what: string, facts: Record<string, unknown>): void {
  console.error(JSON.stringify({ worker: "reconciler", what, ...facts }));
}
