import { Failure } from "./failure";

/** The longest event that is read; a provider's are a few hundred bytes. */
const maxEventChars = 1 << 20;

/**
 * Reads server-sent events from bytes that may be cut anywhere: in a character, between CR and LF, in a field's name. What comes out is
 * the data of each event (HTML standard, 9.2.6); names, ids, retry times and comments are passed over, for no provider uses them.
 */
export class EventReader {
  // The runtime takes a mark at the start of any chunk for one of the stream's; only the very first character can be one.
  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  private begun = false;
  private rest = "";
  private data: string[] = [];
  private size = 0;

  /** Takes the next bytes and gives the data of the events that they complete. */
  push(bytes: Uint8Array): string[] {
    let text: string;
    try {
      text = this.decoder.decode(bytes, { stream: true });
    } catch (cause) {
      throw new Failure("malformed", "the stream is not UTF-8", { cause });
    }
    if (!this.begun && text !== "") {
      this.begun = true;
      text = text.startsWith("\ufeff") ? text.slice(1) : text;
    }
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() as string;
    const events: string[] = [];
    for (const line of lines) {
      this.line(line, events);
    }
    if (this.rest.length + this.size > maxEventChars) {
      throw new Failure("malformed", "an event has no end");
    }
    return events;
  }

  private line(line: string, events: string[]): void {
    if (line === "") {
      if (this.data.length > 0) {
        events.push(this.data.join("\n"));
      }
      this.data = [];
      this.size = 0;
      return;
    }
    if (line === "data" || line.startsWith("data:")) {
      const value = line.slice(line[5] === " " ? 6 : 5);
      this.data.push(value);
      this.size += value.length;
    }
  }
}
