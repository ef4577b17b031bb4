import { KEYS } from "./contract.gen";
import { isWithinBytes } from "./utf8";

export { KEYS };

interface KeyFormat {
  readonly format: string;
  readonly separators: string;
  readonly maxBytes: number;
}

type Hole<F extends string> = F extends `${string}{${infer Name}}${infer Rest}` ? Name | Hole<Rest> : never;

/** The values that a format needs: leaving one out is a type error. */
export type Values<F extends KeyFormat> = Readonly<Record<Hole<F["format"]>, string>>;

const hole = /\{([a-z][a-z0-9_]*)\}/g;
// The characters that Unicode calls control (Cc), as the Go side refuses them.
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point.
const control = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Spells a stored key. A value for {email} is lower-cased. A value may not be empty, nor hold a separator of the format
 * or a control character: otherwise two sets of values could spell one key.
 */
export function key<const F extends KeyFormat>(format: F, values: Values<F>): string {
  const given: Readonly<Record<string, string | undefined>> = values;
  let used = 0;
  const spelt = format.format.replace(hole, (_, name: string) => {
    used++;
    return checked(format, name, given[name]);
  });
  if (Object.keys(given).length !== used) {
    throw new RangeError(`key ${format.format} has no hole for every value given`);
  }
  if (!isWithinBytes(spelt, format.maxBytes)) {
    throw new RangeError(`key ${format.format} is longer than ${format.maxBytes} bytes`);
  }
  return spelt;
}

function checked(format: KeyFormat, name: string, value: string | undefined): string {
  if (value === undefined || value === "" || control.test(value) || [...format.separators].some((s) => value.includes(s))) {
    throw new RangeError(`key ${format.format}: {${name}} is empty, or holds a separator or a control character`);
  }
  return name === "email" ? value.toLowerCase() : value;
}
