/** One line of the admin log, as the gateway gives it to admin-svc. */
export interface NoteLine {
  readonly phase: "asked" | "answered";
  /** Joins the lines of one call. */
  readonly call: string;
  readonly request_id: string;
  readonly action: string;
  readonly actor: string | null;
  readonly acting_for: string | null;
  readonly address: string | null;
  readonly detail?: Record<string, unknown> | undefined;
  readonly status?: number;
  readonly error?: string | null;
}

/** By this header a service says what a call of an operator was about. The gateway keeps it, and lets nobody else see it. */
export const NOTE_HEADER = "x-cog-note";

const maxBytes = 2_048;

/** Says what a call was about, in ASCII, which is all that a header may hold. It is kept for ever: no secret belongs in it. */
export function noted(response: Response, detail: Readonly<Record<string, string | number | boolean | null>>): Response {
  const text = JSON.stringify(detail).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  response.headers.set(NOTE_HEADER, text.length <= maxBytes ? text : '{"detail":"too long to keep"}');
  return response;
}
