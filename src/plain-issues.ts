/** Describes invalid input to a person: zod's issues with the key, the value found and the value expected. */
import type { z } from "zod";

/** Longest value shown, in characters. */
const shownMax = 60;
/** Most issues reported at once. */
const issuesMax = 8;

/** Keys of other programs, and their names here. */
const keyHints = new Map([
  ["timeout", "write requestTimeoutMs, in milliseconds"],
  ["transport", "write type"],
  ["disabled", 'write "enabled": false'],
  ["serverUrl", "write url"],
  ["httpUrl", "write url"],
  ["workingDirectory", "write cwd"],
]);

const nouns: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  null: "null",
};

/** For `safeParse(value, { error: plainIssue })`; a schema's own message takes precedence. */
export const plainIssue: z.core.$ZodErrorMap = (issue) => {
  const { input } = issue;
  switch (issue.code) {
    case "invalid_type":
      return typeSentence(issue.expected === "number" && isSafeint(issue) ? "int" : issue.expected, input);
    case "too_big":
      return `${sizeOf(input)} is too ${comparative(issue.origin, "large", "long")}; the maximum is ${String(issue.maximum)}`;
    case "too_small":
      return `${sizeOf(input)} is too ${comparative(issue.origin, "small", "short")}; the minimum is ${String(issue.minimum)}`;
    case "invalid_value":
      return `expected ${listOf(issue.values)}, found ${shown(input)}`;
    case "invalid_union":
      return unionSentence(issue.errors, input);
    case "unrecognized_keys":
      return `unknown ${issue.keys.length === 1 ? "key" : "keys"} ${issue.keys.map((key) => key.slice(0, shownMax)).join(", ")}`;
    case "invalid_format":
      return `${shown(input)} is not ${formatOf(issue.format)}`;
    case "not_multiple_of":
      return `${shown(input)} is not a multiple of ${issue.divisor}`;
    default:
      return `${kindOf(input)} does not fit here`;
  }
};

/** Where a number or boolean belongs a secret is unlikely, so the value is shown. */
function typeSentence(expected: string, input: unknown): string {
  if (input === undefined) return `is missing; expected ${nounOf(expected)}`;
  const isPlain = ["number", "int", "boolean"].includes(expected);
  return `expected ${nounOf(expected)}, found ${isPlain ? shown(input) : kindOf(input)}`;
}

function unionSentence(errors: readonly (readonly z.core.$ZodIssue[])[], input: unknown): string {
  const wanted = errors.flatMap(([first]) => {
    if (first?.code === "invalid_value") return first.values.map(quoted);
    return first?.code === "invalid_type" ? [nounOf(first.expected)] : [];
  });
  const found = input === undefined ? "nothing" : shown(input);
  return wanted.length === 0 ? `${found} does not fit here` : `expected ${join([...new Set(wanted)])}, found ${found}`;
}

function isSafeint({ inst }: { inst?: unknown }): boolean {
  return (inst as { def?: { format?: unknown } } | undefined)?.def?.format === "safeint";
}

const nounOf = (expected: string) => nouns[expected] ?? expected;

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : `${value}`;
  return nounOf(typeof value === "undefined" ? "nothing" : typeof value);
}

/** Only for short values that cannot be secrets: numbers, and members of a list. */
function shown(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > shownMax ? `${value.slice(0, shownMax)}…` : value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : kindOf(value);
}

function sizeOf(value: unknown): string {
  if (typeof value === "string") return value === "" ? "empty text" : `text of ${value.length} characters`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  return shown(value);
}

function comparative(origin: string, ofNumbers: string, ofTexts: string): string {
  return origin === "string" || origin === "array" ? ofTexts : ofNumbers;
}

function formatOf(format: string): string {
  return format === "url" ? "a URL" : format === "regex" ? "of the form that is expected" : `a valid ${format}`;
}

const quoted = (value: unknown) => (typeof value === "string" ? JSON.stringify(value) : String(value));
const listOf = (values: readonly unknown[]) => join(values.map(quoted));

function join(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "nothing") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** `mcpServers.files.args.0`, `mcpServers["@scope/x"].command`: the path as a person finds it in the file. */
export function keyText(path: readonly PropertyKey[]): string {
  return path
    .map(String)
    .map((key, index) => (/^[A-Za-z0-9_$-]+$/.test(key) ? (index === 0 ? key : `.${key}`) : `[${JSON.stringify(key)}]`))
    .join("");
}

/** One sentence per issue, up to eight. */
export function describeIssues(issues: readonly z.core.$ZodIssue[], above: readonly PropertyKey[] = []): string[] {
  return issues.slice(0, issuesMax).map((issue) => {
    if (issue.code === "unrecognized_keys") {
      const keys = issue.keys.map((key) => keyText([...above, ...issue.path, key]));
      const hints = issue.keys.map((key) => keyHints.get(key)).filter((hint) => hint !== undefined);
      const remedy =
        hints.length > 0 ? hints.join(", ") : `correct the spelling or remove ${keys.length === 1 ? "it" : "them"}`;
      return `unknown ${keys.length === 1 ? "key" : "keys"} ${keys.join(", ")}; ${remedy}`;
    }
    const path = keyText([...above, ...issue.path]);
    const message =
      issue.code === "invalid_key" ? issue.issues.map((inner) => inner.message).join(", ") : issue.message;
    return path === "" ? message : `${path}: ${message}`;
  });
}
