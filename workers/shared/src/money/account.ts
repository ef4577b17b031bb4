import type { Caller } from "../caller";
import { Problem } from "../problem";
import { isWithinBytes } from "../utf8";

/** The ledger's own bound on an account's name, in bytes of UTF-8. */
export const maxAccountBytes = 320;

// A key's parts are held apart by colons, and a control character is in no address.
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point.
const unusable = /[:\u0000-\u001f\u007f-\u009f]/;

/** Tells whether a text in lower case can name an account: in the ledger, in a key, and in UTF-8. */
export function isAccount(name: string): boolean {
  return name !== "" && name.isWellFormed() && !unusable.test(name) && name === name.toLowerCase() && isWithinBytes(name, maxAccountBytes);
}

/**
 * The account of a caller: the one that its token names, or the one that the admin key acts for. Guests have none: what they use is
 * nobody's to pay.
 */
export function accountOf(caller: Caller): string {
  if (caller.id === null) {
    throw new Problem(400, "missing_email", "Say whose account: email is not given.");
  }
  if (caller.role === "guest") {
    throw new Problem(403, "account_required", "A guest has no account.");
  }
  if (!isAccount(caller.id)) {
    throw new Problem(400, "invalid_email", `The account's name has a colon or a control character, or is over ${maxAccountBytes} bytes.`);
  }
  return caller.id;
}
