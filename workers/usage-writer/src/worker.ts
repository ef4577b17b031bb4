import { QUEUES } from "../../shared/src/contract.gen";
import { createWorker } from "../../shared/src/worker";
import { keepDeadLetters } from "./deadletters";
import type { Env } from "./env.gen";
import { writeUsage } from "./write";

const service = createWorker<"usage-writer", Env>("usage-writer", {});

export default {
  ...service,
  queue(batch, env, ctx) {
    return batch.queue === QUEUES["usage-events-dlq"].name ? keepDeadLetters(batch, env) : writeUsage(batch, env, ctx);
  },
} satisfies ExportedHandler<Env>;
