import { describe, expect, it } from "vitest";

import { Problem } from "./problem";
import { createRouter, decodeParams, fillPath, splitUrl } from "./router";

const route = createRouter(
  new Map([
    ["/jobs", "list"],
    ["/jobs/run", "run"],
    ["/jobs/:id", "one"],
    ["/jobs/:id/download", "download"],
  ]),
);

describe("createRouter", () => {
  it.each([
    ["/jobs", "list", {}],
    ["/jobs/run", "run", {}],
    ["/jobs/7", "one", { id: "7" }],
    ["/jobs/a%2Fb/download", "download", { id: "a%2Fb" }],
  ])("%s leads to %s", (path, value, params) => {
    expect(route(path)).toEqual({ value, params });
  });

  it.each(["/", "/jobs/", "//jobs", "/jobs//download", "/jobs/7/", "/Jobs", "/jobs/7/download/x", "/jobs%2F7"])(
    "%s leads nowhere",
    (path) => {
      expect(route(path)).toBeUndefined();
    },
  );
});

it("decodes parameters, and blames a broken escape on the caller", () => {
  expect(decodeParams({ id: "a%2Fb" })).toEqual({ id: "a/b" });
  expect(() => decodeParams({ id: "%ff" })).toThrow(Problem);
});

it("fills a path with raw parameters", () => {
  expect(fillPath("/jobs/:id/download", { id: "a%2Fb" })).toBe("/jobs/a%2Fb/download");
});

it.each([
  ["https://h.test/", "/", ""],
  ["https://h.test/a/b?c=/d?e", "/a/b", "?c=/d?e"],
  ["http://h.test:80/a", "/a", ""],
])("splits %s", (url, path, query) => {
  expect(splitUrl(url)).toEqual({ path, query });
});
