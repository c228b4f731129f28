/** Words of other programs on a person's terminal: nothing in them may steer it. */

/** Control characters, ends of lines and tabs aside, and what turns the direction of writing, become `?`. */
export function plainText(text: string): string {
  return text.replaceAll(/(?!\t|\r?\n|\r$)\p{Cc}|\p{Bidi_Control}/gu, "?");
}
