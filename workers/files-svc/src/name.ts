import { Problem } from "../../shared/src/problem";
import { isWithinBytes } from "../../shared/src/utf8";

/** What most file systems take, in bytes of UTF-8. */
const maxNameBytes = 255;

// Slashes of either kind; Cc and Cf, which hide, and turn text around; what stands for text that did not decode; line ends.
const unsafe = /[/\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/u;

/** Reads a file's name. A name that would have to be changed to be safe is refused: what is stored is what was said. */
export function fileName(given: string | null): string {
  if (given === null || given === "") {
    throw new Problem(400, "missing_filename", "filename is not given.");
  }
  const name = given.normalize("NFC");
  if (name === "." || name === ".." || !name.isWellFormed() || unsafe.test(name) || name !== name.trim()) {
    throw new Problem(
      400,
      "invalid_filename",
      "filename has a slash, a control or an invisible character, is a relative path, or begins or ends with a space.",
    );
  }
  if (!isWithinBytes(name, maxNameBytes)) {
    throw new Problem(400, "invalid_filename", `filename is over ${maxNameBytes} bytes.`);
  }
  return name;
}

/** Spells a Content-Disposition by which no browser shows a file in our origin (RFC 6266, RFC 8187). */
export function attachment(name: string): string {
  const plain = name.replace(/[^\w.\- ]/g, "_");
  const coded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${coded}`;
}
