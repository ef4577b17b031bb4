import { QUEUES } from "../../shared/src/contract.gen";
import { createWorker } from "../../shared/src/worker";
import { showBalances } from "./balances";
import { keepDeadLetters } from "./deadletters";
import type { Env } from "./env.gen";
import { showUses } from "./feed";
import { writeUsage } from "./write";

const service = createWorker<"usage-writer", Env>("usage-writer", {});

export default {
  ...service,
  queue(batch, env, ctx) {
    switch (batch.queue) {
      case QUEUES["usage-events-dlq"].name:
        return keepDeadLetters(batch, env);
      case QUEUES["usage-feed"].name:
        return showUses(batch, env);
      case QUEUES["usage-balances"].name:
        return showBalances(batch, env);
      default:
        return writeUsage(batch, env, ctx);
    }
  },
} satisfies ExportedHandler<Env>;
