/** The least that R2 takes as a part of an upload in parts; all parts but the last must be of one size. */
export const heldBytes = 5 * 1_048_576;

/**
 * Stores a file of which nobody knows the length: R2 wants to know it of all that it takes, so parts of a known length are gathered.
 * That is all that is held. Nothing is visible until it is closed, and nothing stays of what is aborted.
 */
export class Sink {
  private readonly bucket: R2Bucket;
  private readonly key: string;
  private readonly options: R2PutOptions & R2MultipartOptions;
  private readonly buffer = new Uint8Array(heldBytes);
  private readonly parts: R2UploadedPart[] = [];
  private filled = 0;
  private upload: R2MultipartUpload | undefined;
  size = 0;

  constructor(bucket: R2Bucket, key: string, options: R2PutOptions & R2MultipartOptions) {
    this.bucket = bucket;
    this.key = key;
    this.options = options;
  }

  /** What is held now: until a part is full, the file's beginning. */
  get held(): Uint8Array {
    return this.buffer.subarray(0, this.filled);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.byteLength > 0) {
      if (this.filled === heldBytes) {
        await this.flush();
      }
      const taken = rest.subarray(0, heldBytes - this.filled);
      this.buffer.set(taken, this.filled);
      this.filled += taken.byteLength;
      this.size += taken.byteLength;
      rest = rest.subarray(taken.byteLength);
    }
  }

  /** A file that is no longer than a part is stored in one call. */
  async close(): Promise<R2Object> {
    if (this.upload === undefined) {
      return this.bucket.put(this.key, this.held, this.options);
    }
    if (this.filled > 0) {
      await this.flush();
    }
    return this.upload.complete(this.parts);
  }

  async abort(): Promise<void> {
    await this.upload?.abort();
  }

  private async flush(): Promise<void> {
    this.upload ??= await this.bucket.createMultipartUpload(this.key, this.options);
    this.parts.push(await this.upload.uploadPart(this.parts.length + 1, this.held));
    this.filled = 0;
  }
}
