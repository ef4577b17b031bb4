import type { Env } from "./env.gen";
import { forward, type Inward } from "./forward";
import type { Incoming } from "./incoming";
import type { Target } from "./table";

/** The platform is ready when its model provider is: the orchestrator knows the facts. */
export function ready(incoming: Incoming, env: Env, target: Target, inward: Inward): Promise<Response> {
  return forward(incoming, env.ORCHESTRATOR, target, { ...inward, resource: "/_ready" });
}
