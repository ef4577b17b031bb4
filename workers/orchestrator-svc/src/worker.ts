import { createWorker } from "../../shared/src/worker";
import { binding, ready, test } from "./ai";
import { ask, chatCompletions, complete } from "./ask";
import type { Env } from "./env.gen";

export default createWorker<"orchestrator-svc", Env>("orchestrator-svc", {
  "GET /api/ai/binding": binding,
  "POST /api/ai/test": test,
  "POST /api/si/ask": ask,
  "POST /api/v1/llm/complete": complete,
  "POST /v1/chat/completions": chatCompletions,
  "GET /_ready": ready,
});
