import { expect, it } from "vitest";

import { within } from "./deadline";
import { Problem } from "./problem";

const late = () => new Problem(504, "late");

it("gives what arrives in time, and what goes wrong in time", async () => {
  expect(await within(1000, Promise.resolve(7), late)).toBe(7);
  await expect(within(1000, Promise.reject(new Error("broken")), late)).rejects.toThrow("broken");
});

it("gives up on what never arrives", async () => {
  await expect(within(5, new Promise(() => {}), late)).rejects.toMatchObject({ status: 504, code: "late" });
});
