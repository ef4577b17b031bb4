import { json, Problem } from "../../shared/src/problem";
import { type Call, createWorker, type Handler } from "../../shared/src/worker";
import { cleanup } from "./cleanup";
import type { Env } from "./env.gen";
import { note } from "./note";
import { envSnapshot } from "./snapshot";

export default createWorker<"admin-svc", Env>("admin-svc", {
  "GET /api/admin/ping": forAdmins(() => json({ ok: true })),
  "GET /api/admin/env-snapshot": forAdmins(envSnapshot),
  "POST /api/admin/cleanup": forAdmins(cleanup),
  "POST /_note": note,
});

/** The gateway checks the key; this checks the gateway. */
function forAdmins(handler: Handler<Env>): Handler<Env> {
  return (call: Call<Env>) => {
    if (!call.caller.admin) {
      throw new Problem(403, "forbidden", "This needs the admin key.");
    }
    return handler(call);
  };
}
