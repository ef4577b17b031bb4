/** Whether a text has no more than so many bytes of UTF-8. Most have far fewer, which their length tells: a UTF-16 unit is three at most. */
export function isWithinBytes(text: string, most: number): boolean {
  return text.length * 3 <= most || (text.length <= most && new TextEncoder().encode(text).byteLength <= most);
}
