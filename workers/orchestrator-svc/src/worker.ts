import { createWorker } from "../../shared/src/worker";
import { binding, ready, test } from "./ai";
import { ask, chatCompletions, complete } from "./ask";
import type { Env } from "./env.gen";
import { changeProviders, showProviders } from "./operator";

export default createWorker<"orchestrator-svc", Env>("orchestrator-svc", {
  "GET /api/ai/binding": binding,
  "GET /api/admin/providers": showProviders,
  "POST /api/admin/providers": changeProviders,
  "POST /api/ai/test": test,
  "POST /api/si/ask": ask,
  "POST /api/v1/llm/complete": complete,
  "POST /v1/chat/completions": chatCompletions,
  "GET /_ready": ready,
});
