import { Connection, ServerError } from "./postgres/connection";

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
  let socket: Socket | undefined;
  let opened: Promise<Connection> | undefined;
  let broken: DatabaseAway | undefined;
  const open = () => {
    socket = hyperdrive.connect();
    socket.closed.catch(() => {}); // noticed by whoever reads
    socket.opened.catch(() => {});
    return Connection.open(socket, hyperdrive.database, hyperdrive);
  };
  return {
    async query<Row>(text: string, parameters: readonly (string | null)[] = []) {
      if (broken !== undefined) {
        throw broken; // an answer that comes late would be taken for the next statement's
      }
      let connection: Connection | undefined;
      try {
        opened ??= within(connectTimeoutMs, open());
        connection = await opened;
        return (await within(statementTimeoutMs, connection.query(text, parameters))) as Row[];
      } catch (error) {
        // Until there is a connection nothing was asked for: whatever is said then is not the data's fault.
        const why = connection === undefined ? away(error) : explained(error);
        broken = why instanceof DatabaseAway ? why : undefined;
        throw why;
      }
    },
    async close() {
      const connection = await opened?.catch(() => undefined);
      await connection?.close();
      await socket?.close().catch(() => {});
    },
  };
}

function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DatabaseAway("the database took too long")), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Classes of SQLSTATE: 22 and 23 are the data's fault, 54 is a limit of the program's. */
function explained(error: unknown): DatabaseAway | BadData {
  if (error instanceof ServerError && /^(22|23|54)/.test(error.code)) {
    return new BadData(`the database refused the data: ${error.code}`, { cause: error });
  }
  return away(error);
}

function away(error: unknown): DatabaseAway {
  const why = error instanceof ServerError ? `${error.code} ${error.message}` : String(error);
  return error instanceof DatabaseAway ? error : new DatabaseAway(`the database is away: ${why}`, { cause: error });
}
