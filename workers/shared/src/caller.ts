import type { AUTH } from "./contract.gen";

export type Role = (typeof AUTH.roles)[number];

/** Who is calling, as the gateway established it. */
export interface Caller {
  /** The token's email in lower case, else its subject; null when nobody proved anything. */
  readonly id: string | null;
  readonly role: Role | null;
  readonly tenant: string | null;
  /** The admin key was given; id is then the user it acts for. */
  readonly admin: boolean;
}

export const anonymous: Caller = Object.freeze({ id: null, role: null, tenant: null, admin: false });

/** The only headers that carry facts from the gateway to a service. Services have no route of their own, so only it can set them. */
export const CALLER_HEADER = "x-cog-caller";
export const REQUEST_ID_HEADER = "x-request-id";

/** Spells a caller in ASCII, which is all that a header may hold. */
export function encodeCaller(caller: Caller): string {
  return JSON.stringify(caller).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Reads what the gateway wrote; without it the caller is anonymous. */
export function decodeCaller(header: string | null): Caller {
  return header === null ? anonymous : (JSON.parse(header) as Caller);
}
