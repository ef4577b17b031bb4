import { type Incoming, Outgoing, ProtocolError } from "./messages";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

type Bytes = Uint8Array<ArrayBuffer>;

const encoder = { encode: (text: string) => new TextEncoder().encode(text) as Bytes };
const scram = "SCRAM-SHA-256";

/** Answers a server's requests to prove who is asking, one after the other. */
export class Login {
  private readonly credentials: Credentials;
  private readonly nonce: string;
  private expected: string | undefined;
  private proven = true;

  constructor(credentials: Credentials, nonce = base64(crypto.getRandomValues(new Uint8Array(18)))) {
    this.credentials = credentials;
    this.nonce = nonce;
  }

  /** What to send for an authentication request; nothing when the server is content. */
  async answer(request: Incoming): Promise<Uint8Array | undefined> {
    const { user, password } = this.credentials;
    switch (request.int32()) {
      case 0:
        return this.finish();
      case 3:
        return respond((out) => out.text(password));
      case 5:
        return respond(async (out) => out.text(await md5Answer(user, password, request.raw(4))));
      case 10:
        return this.begin(request);
      case 11:
        return this.prove(decodeAll(request));
      case 12:
        return this.check(decodeAll(request));
      default:
        throw new ProtocolError("the server wants a proof of a kind that is not known");
    }
  }

  private begin(request: Incoming): Promise<Uint8Array> {
    const offered: string[] = [];
    for (let name = request.text(); name !== ""; name = request.text()) {
      offered.push(name);
    }
    if (!offered.includes(scram)) {
      throw new ProtocolError(`the server offers no ${scram}`);
    }
    this.proven = false;
    return respond((out) => out.text(scram).parameter(`n,,n=,r=${this.nonce}`));
  }

  private async prove(first: string): Promise<Uint8Array> {
    const { r = "", s = "", i = "" } = attributes(first);
    const iterations = Number(i);
    // A server that does not build on our nonce replays another's login.
    if (!r.startsWith(this.nonce) || r === this.nonce || !Number.isInteger(iterations) || iterations < 1 || iterations > 100_000) {
      throw new ProtocolError("the server's challenge is not one for us");
    }
    const salted = await stretch(this.credentials.password, fromBase64(s), iterations);
    const clientKey = await hmac(salted, encoder.encode("Client Key"));
    const final = `c=biws,r=${r}`;
    const message = encoder.encode(`n=,r=${this.nonce},${first},${final}`);
    const signature = await hmac(await sha256(clientKey), message);
    const proof = clientKey.map((byte, at) => byte ^ (signature[at] as number));
    this.expected = base64(await hmac(await hmac(salted, encoder.encode("Server Key")), message));
    return respond((out) => out.raw(encoder.encode(`${final},p=${base64(proof)}`)));
  }

  /** The server proves that it knows the password too. */
  private check(final: string): undefined {
    if (this.expected === undefined || attributes(final).v !== this.expected) {
      throw new ProtocolError("the server does not know the password");
    }
    this.proven = true;
  }

  private finish(): undefined {
    if (!this.proven) {
      throw new ProtocolError("the server skipped its proof");
    }
  }
}

async function respond(fill: (out: Outgoing) => Outgoing | Promise<Outgoing>): Promise<Uint8Array> {
  return (await fill(new Outgoing().begin("p"))).end().take();
}

function decodeAll(request: Incoming): string {
  return new TextDecoder().decode(request.rest());
}

function attributes(text: string): Partial<Record<string, string>> {
  return Object.fromEntries(text.split(",").map((pair) => [pair.slice(0, 1), pair.slice(2)]));
}

async function md5Answer(user: string, password: string, salt: Uint8Array): Promise<string> {
  const inner = encoder.encode(await md5(encoder.encode(password + user)));
  const salted = new Uint8Array(inner.byteLength + salt.byteLength);
  salted.set(inner);
  salted.set(salt, inner.byteLength);
  return `md5${await md5(salted)}`;
}

async function md5(bytes: Bytes): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("MD5", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function stretch(password: string, salt: Bytes, iterations: number): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", encoder.encode(password.normalize("NFKC")), "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256));
}

async function hmac(key: Bytes, message: Bytes): Promise<Bytes> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Bytes {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch (error) {
    throw new ProtocolError("the server's salt is not base64", { cause: error });
  }
}
