/** Makes other programs' text safe for a person's terminal. */

/** Escapes terminal controls without changing the JSON's meaning; JSON itself escapes only those below U+0020. */
export function plainJson(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f]|\p{Bidi_Control}/gu,
    (odd) => `\\u${(odd.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

/** Replaces control characters, except newlines and tabs, and bidirectional controls with `?`. */
export function plainText(text: string): string {
  return text.replaceAll(/(?!\t|\r?\n|\r$)\p{Cc}|\p{Bidi_Control}/gu, "?");
}

/** Like `plainText`, for one line: newlines become `?` too. */
export function plainLine(text: string): string {
  return plainText(text).replaceAll(/[\r\n]/g, "?");
}
