import { DatabaseError } from "pg";
import { describe, expect, it } from "vitest";

import { BadData, DatabaseAway, explained, openDatabase } from "./database";

const refusal = (code: string) => Object.assign(new DatabaseError("words", 5, "error"), { code, severity: "ERROR" });

describe("an error", () => {
  it.each([
    ["of a login", refusal("22023"), false, DatabaseAway],
    ["of a value that cannot be read", refusal("22P05"), true, BadData],
    ["of a constraint", refusal("23514"), true, BadData],
    ["of a statement that is too complex", refusal("54001"), true, BadData],
    ["of a server that goes away", refusal("57P01"), true, DatabaseAway],
    ["of a function that is not there yet", refusal("42883"), true, DatabaseAway],
    ["of the connection", new Error("22 Connection terminated"), true, DatabaseAway],
  ])("%s blames the data alone when it is the data's", (_, error, asked, kind) => {
    expect(explained(error, asked)).toBeInstanceOf(kind);
  });
});

it("counts a database that nobody answers for as away, now and for what is asked next", async () => {
  const db = openDatabase({ connectionString: "postgres://nobody:nothing@127.0.0.1:9/none" } as Hyperdrive);
  const first = await db.query("SELECT 1").catch((error: unknown) => error);
  expect(first).toBeInstanceOf(DatabaseAway);
  expect(String(first)).toMatch(/^Error: the database is away: Error: .*connect/);
  expect(String(first)).not.toContain("nothing");
  await expect(db.query("SELECT 1")).rejects.toBe(first);
  await db.close();
});
