import { createWorker } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { readFeed } from "./feed";
import { takeUsage } from "./take";

export default createWorker<"usage-svc", Env>("usage-svc", {
  "GET /api/billing/usage": readFeed,
  "POST /api/billing/usage": takeUsage,
});
