/**
 * A request as it came. What the gateway looks at is read from the runtime once: every look at a Request or its Headers crosses
 * into the runtime, and there are a dozen looks on the way.
 */
export class Incoming {
  readonly request: Request;
  readonly method: string;
  readonly url: string;
  /** By lower-case name; the values of a repeated header are joined by a comma, as Headers.get does. */
  readonly headers: ReadonlyMap<string, string>;

  constructor(request: Request) {
    this.request = request;
    this.method = request.method;
    this.url = request.url;
    const headers = new Map<string, string>();
    // forEach crosses once a header; the iterator of Headers makes an object, a list and two strings of each.
    request.headers.forEach((value, name) => {
      headers.set(name, value);
    });
    this.headers = headers;
  }

  /** The name in lower case. */
  header(name: Lowercase<string>): string | null {
    return this.headers.get(name) ?? null;
  }
}
