/** Quoting for a POSIX shell. */

/** Quotes any text as one word for sh. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
