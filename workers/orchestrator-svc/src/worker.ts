import { createWorker } from "../../shared/src/worker";
import { binding, ready, test } from "./ai";
import type { Env } from "./env.gen";

export default createWorker<"orchestrator-svc", Env>("orchestrator-svc", {
  "GET /api/ai/binding": binding,
  "POST /api/ai/test": test,
  "GET /_ready": ready,
});
