import { uuidv7 } from "../../shared/src/ids";
import { Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import type { Env } from "./env.gen";
import { FormError, type FormEvent, FormParser, readDisposition } from "./form-parser";
import { fileName } from "./name";
import { type Owner, ownerOf, spellKey } from "./owner";
import { type Entry, release, reserve, settle } from "./register";
import { Sink } from "./sink";
import { declaredType, refuseOtherType, sniffedBytes } from "./sniff";
import { declaredLength, incomplete, notStored, optionsOf, type Stored } from "./store";

const maxPromptBytes = 4096;
const readBytes = 262_144;

/** Takes the file of a form in as it comes. The file is seen when the form has ended as forms end, and not before. */
export async function takeForm(call: Call<Env>, boundary: string): Promise<Stored> {
  const size = declaredLength(call.request);
  const form = new FormUpload(call, ownerOf(call.caller), size);
  try {
    await readForm(call.request.body as ReadableStream<Uint8Array>, new FormParser(boundary), form);
    return await form.finish();
  } catch (error) {
    await form.undo();
    throw error instanceof FormError ? malformed(error) : error;
  }
}

export function malformed(error: FormError): Problem {
  return new Problem(400, "invalid_multipart", `The body is no form: ${error.message}.`);
}

async function readForm(body: ReadableStream<Uint8Array>, parser: FormParser, form: FormUpload): Promise<void> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(readBytes);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer)).catch((cause) => Promise.reject(incomplete(cause)));
    if (done || value === undefined) {
      break;
    }
    for (const event of parser.push(value)) {
      await form.take(event);
    }
    buffer = value.buffer as ArrayBuffer; // one buffer goes back and forth
  }
  if (!parser.closed) {
    throw incomplete();
  }
}

/** One form: a part named file, beside it a prompt, and whatever else there is, which is passed over. */
class FormUpload {
  private readonly call: Call<Env>;
  private readonly owner: Owner;
  /** The whole body's length: more than its file's, which is known when it has come. */
  private readonly most: number;
  private into: "file" | "prompt" | "nothing" = "nothing";
  private file: { readonly entry: Entry; readonly sink: Sink } | undefined;
  private sniffed = false;
  private prompt = "";
  private promptBytes = 0;
  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(call: Call<Env>, owner: Owner, most: number) {
    this.call = call;
    this.owner = owner;
    this.most = most;
  }

  async take(event: FormEvent): Promise<void> {
    if (event.kind === "part") {
      await this.begin(event.headers);
    } else if (this.into === "file" && this.file !== undefined) {
      await this.fill(this.file, event.kind === "data" ? event.bytes : undefined);
    } else if (this.into === "prompt") {
      this.ask(event.kind === "data" ? event.bytes : undefined);
    }
  }

  private async begin(headers: ReadonlyMap<string, string>): Promise<void> {
    const { name, filename } = readDisposition(headers.get("content-disposition"));
    if (!/^(binary|[78]bit)?$/i.test(headers.get("content-transfer-encoding") ?? "")) {
      throw new FormError("a part has a Content-Transfer-Encoding");
    }
    this.into = name === "file" || name === "prompt" ? name : "nothing";
    if (this.into === "file") {
      await this.open(fileName(filename ?? null), declaredType(headers.get("content-type") ?? null));
    }
  }

  private async open(name: string, content_type: string): Promise<void> {
    if (this.file !== undefined) {
      throw new Problem(400, "several_files", "A form takes one file.");
    }
    const { env, caller, request } = this.call;
    const id = uuidv7(Date.now());
    const entry: Entry = { id, key: spellKey(this.owner, id, name), name, size: this.most, content_type };
    await reserve(env.R2_UPLOADS, this.owner, caller.role, entry);
    this.file = { entry, sink: new Sink(env.R2_UPLOADS, entry.key, optionsOf(this.owner, entry, new URL(request.url).pathname)) };
  }

  private async fill({ entry, sink }: { entry: Entry; sink: Sink }, bytes: Uint8Array | undefined): Promise<void> {
    if (bytes !== undefined) {
      await sink.write(bytes).catch((cause) => Promise.reject(notStored(cause)));
    } else if (sink.size === 0) {
      throw new Problem(400, "empty_file", "The file is empty.");
    }
    // The beginning is looked at once it is there, or all there is of it.
    if (!this.sniffed && (bytes === undefined || sink.size >= sniffedBytes)) {
      refuseOtherType(entry.content_type, sink.held.subarray(0, sniffedBytes));
      this.sniffed = true;
    }
  }

  private ask(bytes: Uint8Array | undefined): void {
    try {
      this.prompt += this.decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw new Problem(400, "invalid_prompt", "prompt is not UTF-8.");
    }
    this.promptBytes += bytes?.byteLength ?? 0;
    if (this.promptBytes > maxPromptBytes) {
      throw new Problem(400, "invalid_prompt", `prompt is over ${maxPromptBytes} bytes.`);
    }
  }

  async finish(): Promise<Stored> {
    if (this.file === undefined) {
      throw new Problem(400, "missing_file", "The form has no part that is named file.");
    }
    const { sink } = this.file;
    const entry: Entry = { ...this.file.entry, size: sink.size, ...(this.prompt === "" ? {} : { prompt: this.prompt }) };
    try {
      const { etag, version } = await sink.close();
      await settle(this.call.env.R2_UPLOADS, this.owner, entry);
      return { entry, etag, version };
    } catch (cause) {
      throw notStored(cause);
    }
  }

  /** Nothing stays: neither parts, nor a file that was closed and could not be shown, nor its room in the quota. */
  async undo(): Promise<void> {
    if (this.file !== undefined) {
      const { entry, sink } = this.file;
      const bucket = this.call.env.R2_UPLOADS;
      await Promise.allSettled([sink.abort(), bucket.delete(entry.key), release(bucket, this.owner, entry.id)]);
    }
  }
}
