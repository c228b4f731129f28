/** Which idioms of a private language are in the texts of a source file that people read. */

/** One line for each. */
export function idiomsOf(text: string): string[] {
  return messagesOf(text).flatMap(({ index, message }) => idiomsIn(text, index, message));
}

/** Idioms that a native reader stumbles over; "there is no" and "is no longer" are plain. */
const idioms =
  /\b(?:nobody|whoever|any more|anew|over there|meanwhile|besides|has the word|for ever|are none)\b|(?<!there )\bis no\b(?! longer)/gi;

/** Texts of more than one word, which are for people. */
function messagesOf(text: string): { index: number; message: string }[] {
  const tokens = text.matchAll(/"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g);
  return [...tokens].flatMap(({ 0: message, index }) =>
    // A quote in a regular expression opens no text; what looks like one goes on into the next comment.
    /^["`].* /s.test(message) && !message.includes("/**") ? [{ index, message }] : [],
  );
}

function idiomsIn(text: string, index: number, message: string): string[] {
  const line = text.slice(0, index).split("\n").length;
  return [...message.matchAll(idioms)].map(([idiom]) => `line ${line}: ${idiom}`);
}
