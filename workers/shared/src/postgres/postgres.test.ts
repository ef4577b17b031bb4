import { describe, expect, it } from "vitest";

import { BadData, DatabaseAway, openDatabase } from "../database";
import { Connection, ServerError, type Wire } from "./connection";
import { Login } from "./login";
import { Cutter, Incoming, Outgoing, ProtocolError } from "./messages";

const encoder = new TextEncoder();
const credentials = { user: "user", password: "pencil" };

/** A message of the server, and the parts that messages are made of. */
const message = (kind: string, fill: (out: Outgoing) => Outgoing = (out) => out) => fill(new Outgoing().begin(kind)).end().take();
const ready = message("Z", (out) => out.raw(encoder.encode("I")));
const loggedIn = [message("R", (out) => out.int32(0)), message("S", (out) => out.text("server_version").text("15")), ready];
const column = (out: Outgoing, name: string, type: number) => out.text(name).int32(0).int16(0).int32(type).int16(0).int32(0).int16(0);
const failure = (code: string) =>
  message("E", (out) => out.raw(encoder.encode("SERROR\0")).text(`C${code}`).text("Mno").raw(new Uint8Array(1)));

const answer = [
  message("1"),
  message("2"),
  message("T", (out) => column(column(column(out.int16(3), "n", 23), "j", 3802), "nothing", 25)),
  message("D", (out) => out.int16(3).parameter("7").parameter('{"ü":[1]}').parameter(null)),
  message("C", (out) => out.text("SELECT 1")),
  ready,
];

/** A server that says these bytes, cut into pieces of a size, and hears everything. */
function server(bytes: Uint8Array[], piece = 1 << 20): Wire & { heard: Uint8Array[] } {
  const heard: Uint8Array[] = [];
  const all = new Uint8Array(bytes.flatMap((part) => [...part]));
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < all.byteLength; at += piece) {
        controller.enqueue(all.slice(at, at + piece));
      }
      controller.close();
    },
  });
  return { readable, writable: new WritableStream({ write: (chunk) => void heard.push(chunk) }), heard };
}

describe("a connection", () => {
  it.each([1, 2, 3, 7, 1 << 20])("reads an answer that arrives in pieces of %d bytes", async (piece) => {
    const connection = await Connection.open(server([...loggedIn, ...answer], piece), "db", credentials);
    expect(await connection.query("SELECT", [])).toEqual([{ n: 7, j: { ü: [1] }, nothing: null }]);
  });

  it("sends a statement in one write, with null as null", async () => {
    const wire = server([...loggedIn, ...answer]);
    const connection = await Connection.open(wire, "db", credentials);
    await connection.query("SELECT $1, $2", ["ü", null]);
    expect(wire.heard).toHaveLength(2);
    const sent = new TextDecoder().decode(wire.heard[1]);
    expect(sent).toContain("SELECT $1, $2");
    expect([...(wire.heard[1] as Uint8Array)].join()).toContain([0, 2, 0, 0, 0, 2, 0xc3, 0xbc, 0xff, 0xff, 0xff, 0xff].join());
  });

  it("throws the server's error when the server is ready again, and goes on", async () => {
    const connection = await Connection.open(server([...loggedIn, failure("22P05"), ready, ...answer]), "db", credentials);
    await expect(connection.query("SELECT", [])).rejects.toEqual(expect.objectContaining({ code: "22P05", message: "no" }));
    expect(await connection.query("SELECT", [])).toHaveLength(1);
  });

  it.each([
    ["before anything was asked for", [failure("22023")], DatabaseAway],
    ["of a statement", [...loggedIn, failure("22P05"), ready], BadData],
    ["of a server that goes away", [...loggedIn, failure("57P01"), ready], DatabaseAway],
  ])("blames the data for an error %s alone when it is", async (_, said, kind) => {
    const wire = { ...server(said), opened: Promise.resolve(), closed: Promise.resolve(), close: () => Promise.resolve() };
    const db = openDatabase({ ...credentials, database: "db", connect: () => wire } as unknown as Hyperdrive);
    await expect(db.query("SELECT")).rejects.toBeInstanceOf(kind);
  });

  it("says that it was refused, or that nobody is there", async () => {
    await expect(Connection.open(server([failure("28P01")]), "db", credentials)).rejects.toBeInstanceOf(ServerError);
    await expect(Connection.open(server([]), "db", credentials)).rejects.toBeInstanceOf(ProtocolError);
    await expect(Connection.open(server(loggedIn.slice(0, 2)), "db", credentials)).rejects.toBeInstanceOf(ProtocolError);
  });

  it("ends with an error on whatever else a server may say, and never hangs", async () => {
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let round = 0; round < 500; round++) {
      const parts = [...loggedIn, ...answer].map((part) => part.slice());
      for (let flips = 0; flips < 3; flips++) {
        const part = parts[Math.floor(random() * parts.length)] as Uint8Array;
        part[Math.floor(random() * part.byteLength)] = Math.floor(random() * 256);
      }
      const session = async () => (await Connection.open(server(parts), "db", credentials)).query("SELECT", []);
      await session().then(
        (rows) => expect(Array.isArray(rows)).toBe(true),
        (error: unknown) =>
          expect(error instanceof ProtocolError || error instanceof ServerError || error instanceof SyntaxError).toBe(true),
      );
    }
  });

  it.each([-1, 0, 3, 1 << 30])("does not wait for a message that says it is %d bytes long", (length) => {
    const cutter = new Cutter();
    cutter.push(new Outgoing().begin("").int32(0).take().slice(0, 1));
    cutter.push(new Uint8Array(new Int32Array([0]).buffer));
    const bad = new Cutter();
    const bytes = new Uint8Array(5);
    new DataView(bytes.buffer).setInt32(1, length);
    bad.push(bytes);
    expect(() => bad.next()).toThrow(ProtocolError);
  });
});

describe("a login", () => {
  const request = (kind: number, fill: (out: Outgoing) => Outgoing = (out) => out) => {
    const bytes = message("R", (out) => fill(out.int32(kind)));
    return new Incoming("R", bytes.slice(5));
  };
  const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes?.slice(5));
  const scram = (nonce: string) => new Login(credentials, nonce);
  const offer = () => request(10, (out) => out.text("SCRAM-SHA-256-PLUS").text("SCRAM-SHA-256").raw(new Uint8Array(1)));
  const say = (kind: number, words: string) => request(kind, (out) => out.raw(encoder.encode(words)));
  const nonce = "rOprNGfwEbeRWgbNEkqO";
  const challenge = `r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;

  it("gives a password as it is, and as MD5", async () => {
    expect(text(await new Login(credentials).answer(request(3)))).toBe("pencil\0");
    const salted = request(5, (out) => out.raw(new Uint8Array([1, 2, 3, 4])));
    expect(text(await new Login(credentials).answer(salted))).toMatch(/^md5[0-9a-f]{32}\0$/);
  });

  // RFC 7677, section 3, but for the name, which PostgreSQL takes from the start-up message.
  it("proves a password by SCRAM and has the server prove it too", async () => {
    const login = scram(nonce);
    expect(text(await login.answer(offer()))).toContain(`n,,n=,r=${nonce}`);
    const proof = text(await login.answer(say(11, challenge)));
    expect(proof).toMatch(/^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/);
    await expect(login.answer(say(12, "v=AAAA"))).rejects.toBeInstanceOf(ProtocolError);
  });

  it.each([
    ["another nonce", `r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`],
    ["no nonce of its own", `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`],
    ["no rounds", `r=${nonce}x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0`],
    ["rounds without end", `r=${nonce}x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999`],
    ["a salt that is none", `r=${nonce}x,s=%,i=4096`],
  ])("refuses a challenge with %s", async (_, words) => {
    const login = scram(nonce);
    await login.answer(offer());
    await expect(login.answer(say(11, words))).rejects.toBeInstanceOf(ProtocolError);
  });

  it("refuses a server that skips its proof, or wants one that is not known", async () => {
    const login = scram(nonce);
    await login.answer(offer());
    await expect(login.answer(request(0))).rejects.toBeInstanceOf(ProtocolError);
    await expect(scram(nonce).answer(request(7))).rejects.toBeInstanceOf(ProtocolError);
  });
});
