import { type Credentials, Login } from "./login";
import { Cutter, type Incoming, Outgoing, ProtocolError } from "./messages";

/** The server refused a statement or a login, in its own words. */
export class ServerError extends Error {
  /** SQLSTATE. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export type Row = Record<string, unknown>;

/** The two ends of a connection, as a socket has them. */
export interface Wire {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * One session with PostgreSQL: a statement at a time, its parameters and its answer as text, and one round trip for each. It is what
 * the ledger's functions need and no more; a driver that can do everything costs a request more than the rest of its work
 * (docs/decisions).
 */
export class Connection {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private readonly cutter = new Cutter();

  private constructor(wire: Wire) {
    this.reader = wire.readable.getReader();
    this.writer = wire.writable.getWriter();
    // A connection that breaks is noticed where something is read or written; here it is nobody's surprise.
    this.reader.closed.catch(() => {});
    this.writer.closed.catch(() => {});
  }

  /** Logs in, and answers when the server is ready. */
  static async open(wire: Wire, database: string, credentials: Credentials): Promise<Connection> {
    const connection = new Connection(wire);
    const out = new Outgoing().begin("").int32(196_608); // protocol 3.0
    for (const [name, value] of Object.entries({ user: credentials.user, database, client_encoding: "UTF8" })) {
      out.text(name).text(value);
    }
    await connection.writer.write(out.raw(new Uint8Array(1)).end().take());
    await connection.login(new Login(credentials));
    return connection;
  }

  private async login(login: Login): Promise<void> {
    for (;;) {
      const message = await this.next();
      if (message.kind === "R") {
        const answer = await login.answer(message);
        if (answer !== undefined) {
          await this.writer.write(answer);
        }
      } else if (message.kind === "E") {
        throw serverError(message);
      } else if (message.kind === "Z") {
        return;
      }
    }
  }

  /** Runs one statement. Its error is thrown when the server is ready again, so the connection can be used on. */
  async query(text: string, parameters: readonly (string | null)[]): Promise<Row[]> {
    await this.writer.write(statement(text, parameters));
    const rows: Row[] = [];
    let columns: Column[] = [];
    let failed: ServerError | undefined;
    for (;;) {
      const message = await this.next();
      switch (message.kind) {
        case "T":
          columns = readColumns(message);
          break;
        case "D":
          rows.push(readRow(message, columns));
          break;
        case "E":
          failed = serverError(message);
          break;
        case "Z":
          if (failed !== undefined) {
            throw failed;
          }
          return rows;
      }
    }
  }

  /** Says good-bye; a connection that is broken needs none. */
  async close(): Promise<void> {
    try {
      await this.writer.write(new Outgoing().begin("X").end().take());
      await this.writer.close();
    } catch {
      // it is closed
    }
  }

  private async next(): Promise<Incoming> {
    for (;;) {
      const message = this.cutter.next();
      if (message !== undefined) {
        return message;
      }
      const { done, value } = await this.reader.read();
      if (done) {
        throw new ProtocolError("the server closed the connection");
      }
      this.cutter.push(value);
    }
  }
}

/** Parse, bind, describe, execute and sync in one write. */
function statement(text: string, parameters: readonly (string | null)[]): Uint8Array {
  const out = new Outgoing();
  out.begin("P").text("").text(text).int16(0).end();
  out.begin("B").text("").text("").int16(0).int16(parameters.length);
  for (const value of parameters) {
    out.parameter(value);
  }
  out.int16(0).end();
  out.begin("D").raw(portal).text("").end();
  out.begin("E").text("").int32(0).end();
  return out.begin("S").end().take();
}

const portal = new TextEncoder().encode("P");

interface Column {
  readonly name: string;
  readonly read: (text: string) => unknown;
}

const asText = (text: string) => text;

/** By the number of its type. Numbers that JavaScript might not hold stay text. */
const readers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === "t", // boolean
  21: Number, // smallint
  23: Number, // integer
  114: JSON.parse, // json
  701: Number, // double precision
  3802: JSON.parse, // jsonb
};

function readColumns(message: Incoming): Column[] {
  return Array.from({ length: message.int16() }, () => {
    const name = message.text();
    message.raw(6); // table and column
    const type = message.int32();
    message.raw(8); // size, modifier and format
    return { name, read: readers[type] ?? asText };
  });
}

function readRow(message: Incoming, columns: readonly Column[]): Row {
  if (message.int16() !== columns.length) {
    throw new ProtocolError("a row has not the columns that were announced");
  }
  const row: Row = {};
  for (const { name, read } of columns) {
    const length = message.int32();
    row[name] = length < 0 ? null : read(message.utf8(length));
  }
  return row;
}

function serverError(message: Incoming): ServerError {
  const fields: Partial<Record<string, string>> = {};
  for (let kind = message.byte(); kind !== 0; kind = message.byte()) {
    fields[String.fromCharCode(kind)] = message.text();
  }
  return new ServerError(fields.C ?? "XX000", fields.M ?? "the server gave no reason");
}
