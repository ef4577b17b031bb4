import type { Client, DatabaseError } from "pg";

/** Statements through one connection of one request; a connection cannot outlive the request that opened it. */
export interface Database {
  /** The rows of one statement. Parameters are text, which the statement casts. */
  query<Row>(text: string, parameters?: readonly (string | null)[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** The database was not reached, or did not finish: nothing is known to be wrong with the statement. */
export class DatabaseAway extends Error {}

/** The database refused a statement for the data it was given: a part of it may succeed. */
export class BadData extends Error {}

const connectTimeoutMs = 5_000;

/** How long a statement may take before the database counts as away. */
const statementTimeoutMs = 20_000;

/** Opens a database behind Hyperdrive; the connection is made with the first statement. */
export function openDatabase(hyperdrive: Hyperdrive): Database {
  let client: Client | undefined;
  let opened: Promise<Client> | undefined;
  let broken: DatabaseAway | undefined;
  const open = async () => {
    // Read here, not when the Worker starts: with what it needs of Node.js it holds 2.6 MB of an isolate, which most never use.
    const pg = await import("pg");
    client = new pg.Client({
      connectionString: hyperdrive.connectionString,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: statementTimeoutMs,
    });
    client.on("error", () => {}); // whoever has a statement under way is told; between two, the next one finds out
    await client.connect();
    return client;
  };
  return {
    async query<Row>(text: string, parameters: readonly (string | null)[] = []) {
      if (broken !== undefined) {
        throw broken; // an answer that comes late would be taken for the next statement's
      }
      let connected: Client | undefined;
      try {
        opened ??= open();
        connected = await opened;
        return (await connected.query(text, [...parameters])).rows as Row[];
      } catch (error) {
        const why = explained(error, connected !== undefined);
        broken = why instanceof DatabaseAway ? why : undefined;
        throw why;
      }
    },
    async close() {
      await client?.end().catch(() => {}); // it is closed, or never was open
    },
  };
}

/**
 * Whose fault an error is. Until there is a connection nothing was asked for: whatever is said then is not the data's fault. Classes
 * of SQLSTATE: 22 and 23 are the data's fault, 54 is a limit of the program's.
 */
export function explained(error: unknown, asked: boolean): DatabaseAway | BadData {
  if (asked && isRefusal(error) && /^(22|23|54)/.test(error.code ?? "")) {
    return new BadData(`the database refused the data: ${error.code}`, { cause: error });
  }
  const why = isRefusal(error) ? `${error.code} ${error.message}` : String(error);
  return new DatabaseAway(`the database is away: ${why}`, { cause: error });
}

/** What the database itself says, by its severity; the driver's own errors and the connection's have none. */
function isRefusal(error: unknown): error is DatabaseError {
  return error instanceof Error && "severity" in error;
}
