/** Which idioms of a private language are in what people read: the texts of a source file, the prose of a page. */

/** One line for each in the messages of a source file. */
export function idiomsOf(text: string): string[] {
  return messagesOf(text).flatMap(({ index, message }) => idiomsIn(text, index, message));
}

/** One line for each in a page, except in its blocks of code. */
export function idiomsOfPage(text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, " "));
  return idiomsIn(prose, 0, prose);
}

/** Idioms that a native reader stumbles over; "there is no" and "is no longer" are plain. */
const idioms =
  /\b(?:nobody|whoever|any more|anew|over there|meanwhile|besides|has the word|for ever|are none|somebody|hitherto|thereupon|the far side|dear|has its turn|so that who)\b|(?<!there )\bis no\b(?! longer)/gi;

/** Texts of more than one word, which are for people. */
function messagesOf(text: string): { index: number; message: string }[] {
  const tokens = text.matchAll(/"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g);
  return [...tokens].flatMap(({ 0: message, index }) =>
    // A quote in a regular expression opens no text; what looks like one goes on into the next comment.
    /^["`].* /s.test(message) && !message.includes("/**") ? [{ index, message }] : [],
  );
}

function idiomsIn(text: string, start: number, message: string): string[] {
  return [...message.matchAll(idioms)].map(
    ({ 0: idiom, index }) => `line ${text.slice(0, start + index).split("\n").length}: ${idiom}`,
  );
}
