/** Covers likely secrets before they are shown: configs are full of them, and terminals are copied into bug reports. */

const word = "(?:key|token|secret|passw|auth|credential)";
/** `"API_KEY": "…"`, `apiKey = '…'`. */
const namedValue = new RegExp(`(${word}[^:=]{0,40}["']?\\s*[:=]\\s*)(["']).+?\\2`, "gi");
/** `--api-key=…`, `TOKEN=…` and `X-Api-Key: …` within a text. */
const insideText = new RegExp(`(${word}[\\w-]*(?:=|:[ \\t]*))(?!Bearer |Basic )([^\\s"',$[{][^\\s"',]*)`, "gi");
const optionThenValue = new RegExp(`(["']--?[\\w-]*${word}[\\w-]*["']\\s*,\\s*)(["']).+?\\2`, "gi");
const option = new RegExp(`^--?[\\w-]*${word}[\\w-]*$`, "i");
const optionAtEnd = new RegExp(`["']--?[\\w-]*${word}[\\w-]*["']\\s*,\\s*(?://.*|#.*)?$`, "i");
const passwordInUrl = /(:\/\/[^\s/:@"']*:)[^\s/@"'$]+@/g;
const bearer = /\b(Bearer|Basic) +[^\s"'$]+/gi;
/** Token prefixes of common services. */
const knownToken = /\b(?:sk-|gh[opsu]_|github_pat_|glpat-|xox[abpr]-|AKIA|AIza|eyJ)[\w.-]{8,}/g;

function coverInside(text: string): string {
  return text
    .replaceAll(passwordInUrl, "$1…@")
    .replaceAll(bearer, "$1 …")
    .replaceAll(insideText, "$1…")
    .replaceAll(knownToken, "…");
}

/** Covers a config line; the previous one may end with the option whose value this line is. */
export function coverLine(line: string, previous = ""): string {
  const isValue = optionAtEnd.test(previous);
  const own = isValue ? line.replace(/(["']).+?\1/, "$1…$1") : line;
  return coverInside(own.replaceAll(namedValue, "$1$2…$2").replaceAll(optionThenValue, "$1$2…$2"));
}

/** Covers the words of a command line. */
export function coverWords(words: readonly string[]): string[] {
  return words.map((one, at) => (option.test(words[at - 1] ?? "") && !one.startsWith("-") ? "…" : coverInside(one)));
}
