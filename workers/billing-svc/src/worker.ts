import { createWorker } from "../../shared/src/worker";
import { adjust } from "./adjust";
import { credits } from "./credits";
import type { Env } from "./env.gen";

export default createWorker<"billing-svc", Env>("billing-svc", {
  "GET /api/credits": credits,
  "POST /api/credits/adjust": adjust,
});
