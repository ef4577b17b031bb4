import { SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { PATHS, QUEUES, ROUTES } from "../contract.gen";
import type { WorkerName } from "../worker";

/** What holds for every Worker, run by each with its own name. */
export function describeEveryWorker(name: WorkerName): void {
  describe(`${name} as every Worker`, () => {
    it("answers an unknown path with a problem", async () => {
      const response = await SELF.fetch("https://worker.test/no/such/path");
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ error: "not_found" });
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(response.headers.get("content-type")).toContain("application/json");
    });

    const paths = Object.entries(PATHS).filter(([, path]) => path.worker === name);

    it("is given something to do by the contract: a path, or a queue", () => {
      const queues = Object.values(QUEUES).filter(({ consumer }) => consumer === name);
      expect(ROUTES[name].length + queues.length).toBeGreaterThan(0);
    });

    it.each(paths)("answers a wrong method on %s with 405 and Allow", async (path, { methods }) => {
      const response = await SELF.fetch(`https://worker.test${path}`, { method: "PROPFIND" });
      expect(response.status).toBe(405);
      const { error } = await response.json<{ error: string | { code: string } }>();
      expect(typeof error === "string" ? error : error.code).toBe("method_not_allowed");
      for (const method of methods) {
        expect(response.headers.get("allow")?.split(", ")).toContain(method);
      }
    });

    it.each(paths)("shows no stack in any error of %s", async (path, { methods }) => {
      const method = methods[0];
      const response = await SELF.fetch(`https://worker.test${path}`, method === "GET" ? {} : { method, body: "{not json" });
      expect(await response.text()).not.toMatch(/\bat .*\.(ts|js)|Error:/);
    });
  });
}
