import { createWorker } from "../../shared/src/worker";
import { admit, advance, cancel, renew, settle } from "./desk";
import type { Env } from "./env.gen";
import { setLimits, showLimits } from "./operator";
import { simulate } from "./simulate";

// The runtime finds the class among the exports of the entry.
// biome-ignore lint/performance/noBarrelFile: it is one class, not a barrel.
export { Limiter } from "./limiter";

export default createWorker<"rate-limiter-do", Env>("rate-limiter-do", {
  "GET /api/admin/limits": showLimits,
  "PUT /api/admin/limits": setLimits,
  "POST /api/admin/limits/simulate": simulate,
  "POST /_admit": admit,
  "POST /_advance": advance,
  "POST /_renew": renew,
  "POST /_settle": settle,
  "POST /_cancel": cancel,
});
