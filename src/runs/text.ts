/** Output as text: cut where a character ends, so that a reader who goes on at `next` never sees half of one. */

/** Bytes at the end that begin a UTF-8 character and do not finish it; 0 when the end is whole, or no UTF-8 at all. */
export function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0b1100_0000) === 0b1000_0000) continue;
    const length = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
/** Escape sequences of ECMA-48 and what terminals add: for a reader who wants words, not colours. */
const escapes =
  // eslint-disable-next-line no-control-regex -- these are the characters in question
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])/g;

export function withoutEscapes(text: string): string {
  return text.replace(escapes, "");
}
