/** What breaks the protocol: neither side knows any more where a message begins. */
export class ProtocolError extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** No answer of the ledger comes near it: a length above this is no length. */
const maxMessage = 64 << 20;

/** Gathers messages to the server, so that they leave in one write. */
export class Outgoing {
  private bytes = new Uint8Array(1024);
  private used = 0;
  private start = 0;

  /** Begins a message of a kind; the start-up message alone has none. */
  begin(kind: string): this {
    if (kind !== "") {
      this.room(1)[this.used++] = kind.charCodeAt(0);
    }
    this.start = this.used;
    return this.int32(0);
  }

  /** Ends the message by writing its length where it began. */
  end(): this {
    new DataView(this.bytes.buffer).setInt32(this.start, this.used - this.start);
    return this;
  }

  int32(value: number): this {
    new DataView(this.room(4).buffer).setInt32(this.used, value);
    this.used += 4;
    return this;
  }

  int16(value: number): this {
    new DataView(this.room(2).buffer).setUint16(this.used, value);
    this.used += 2;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.room(bytes.byteLength).set(bytes, this.used);
    this.used += bytes.byteLength;
    return this;
  }

  /** Text that a zero byte ends. */
  text(value: string): this {
    return this.raw(encoder.encode(value)).raw(zero);
  }

  /** A parameter: its length, then its text; null has no text. */
  parameter(value: string | null): this {
    if (value === null) {
      return this.int32(-1);
    }
    const bytes = encoder.encode(value);
    return this.int32(bytes.byteLength).raw(bytes);
  }

  /** All that was gathered; gathering begins anew. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.used);
    this.used = 0;
    return taken;
  }

  private room(more: number): Uint8Array {
    if (this.used + more > this.bytes.byteLength) {
      const grown = new Uint8Array(2 * (this.used + more));
      grown.set(this.bytes.subarray(0, this.used));
      this.bytes = grown;
    }
    return this.bytes;
  }
}

const zero = new Uint8Array(1);

/** One message of the server, read from its front. */
export class Incoming {
  readonly kind: string;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(kind: string, bytes: Uint8Array) {
    this.kind = kind;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  int32(): number {
    return this.view.getInt32(this.skip(4));
  }

  int16(): number {
    return this.view.getUint16(this.skip(2));
  }

  byte(): number {
    return this.view.getUint8(this.skip(1));
  }

  raw(length: number): Uint8Array {
    const from = this.skip(length);
    return this.bytes.subarray(from, from + length);
  }

  rest(): Uint8Array {
    return this.raw(this.bytes.byteLength - this.at);
  }

  utf8(length: number): string {
    return decode(this.raw(length));
  }

  /** Text up to the zero byte that ends it. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0) {
      throw new ProtocolError("a text has no end");
    }
    const text = decode(this.bytes.subarray(this.at, end));
    this.at = end + 1;
    return text;
  }

  private skip(length: number): number {
    const from = this.at;
    if (length < 0 || from + length > this.bytes.byteLength) {
      throw new ProtocolError("a message is shorter than it says");
    }
    this.at = from + length;
    return from;
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new ProtocolError("a text is not UTF-8", { cause: error });
  }
}

/** Cuts what arrives into messages, wherever the network cut it. */
export class Cutter {
  private held = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    const joined = new Uint8Array(this.held.byteLength + chunk.byteLength);
    joined.set(this.held);
    joined.set(chunk, this.held.byteLength);
    this.held = joined;
  }

  /** The next message, or undefined until more has arrived. */
  next(): Incoming | undefined {
    if (this.held.byteLength < 5) {
      return undefined;
    }
    const length = new DataView(this.held.buffer, this.held.byteOffset).getInt32(1);
    if (length < 4 || length > maxMessage) {
      throw new ProtocolError(`a message says it is ${length} bytes long`);
    }
    if (this.held.byteLength < length + 1) {
      return undefined;
    }
    const message = new Incoming(String.fromCharCode(this.held[0] as number), this.held.subarray(5, length + 1));
    this.held = this.held.subarray(length + 1);
    return message;
  }
}
