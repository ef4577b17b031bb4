import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

import { driver, options, workerNames } from "./vitest.options.ts";

/** One project a Worker, in workerd with the contract's bindings; and one for what they share. */
export default defineConfig({
  test: {
    projects: [...workerNames, "shared"].map((name) => ({
      plugins: [cloudflareTest({ ...(name === "shared" ? {} : { main: `./${name}/src/worker.ts` }), miniflare: options(name) })],
      resolve: { alias: { pg: driver } },
      // A test that hangs ends; one on a busy machine does not fail for being slow.
      test: { name, testTimeout: 60_000, include: [`${name}/src/**/*.test.ts`] },
    })),
  },
});
