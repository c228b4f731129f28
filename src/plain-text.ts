/** Words of other programs on a person's terminal: nothing in them may steer it. */

/** JSON means the same with what steers a terminal written as its number; JSON itself does so below U+0020 only. */
export function plainJson(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f]|\p{Bidi_Control}/gu,
    (odd) => `\\u${(odd.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** Control characters, ends of lines and tabs aside, and what turns the direction of writing, become `?`. */
export function plainText(text: string): string {
  return text.replaceAll(/(?!\t|\r?\n|\r$)\p{Cc}|\p{Bidi_Control}/gu, "?");
}

/** As `plainText`, in one line: ends of lines become `?` too. */
export function plainLine(text: string): string {
  return plainText(text).replaceAll(/[\r\n]/g, "?");
}
