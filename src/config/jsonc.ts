/**
 * JSON with comments and trailing commas, parsed without loss: duplicate keys are rejected with their line, and `__proto__`
 * is an ordinary key (objects have no prototype).
 */
import { createScanner, parseTree, printParseErrorCode, type Node, type ParseError } from "jsonc-parser";

/** Deepest nesting: the parser is recursive, and real configs are flatter. */
const depthMax = 200;

/** Line and column count from 1. */
export interface JsonProblem {
  line: number;
  column: number;
  message: string;
}

/** By jsonc-parser's code names. */
const words: Record<string, string> = {
  InvalidSymbol: "this is not a JSON value; texts stand in double quotes",
  InvalidNumberFormat: "this is not a number as JSON writes it",
  PropertyNameExpected: "a key in double quotes is expected here",
  ValueExpected: "a value is expected here",
  ColonExpected: "a colon is missing between a key and its value",
  CommaExpected: "a comma is missing before this",
  CloseBraceExpected: "a closing brace } is missing",
  CloseBracketExpected: "a closing bracket ] is missing",
  EndOfFileExpected: "the file should end here; something follows its value",
  InvalidCommentToken: "this comment is not allowed",
  UnexpectedEndOfComment: "a comment is not closed; */ is missing",
  UnexpectedEndOfString: "a text is not closed; a double quote is missing",
  UnexpectedEndOfNumber: "a number is cut off",
  InvalidUnicode: "\\u needs four hexadecimal digits",
  InvalidEscapeCharacter: 'a backslash must be written twice, or begin one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u',
  InvalidCharacter: "a text holds a control character; write \\n for a line break, \\t for a tab",
};

/** The value; its objects have no prototypes. */
export function readJsonc(given: string): { value: unknown } | { problem: JsonProblem } {
  const text = given.replace(/^\uFEFF/, "");
  const fail = (offset: number, message: string) => ({ problem: { ...placeOf(text, offset), message } });
  const tooDeep = deepestOffset(text);
  if (tooDeep !== undefined) return fail(tooDeep, `more than ${depthMax} values stand inside each other`);
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first !== undefined) return fail(first.offset, words[printParseErrorCode(first.error)] ?? "the text is not JSON");
  if (root === undefined) return fail(0, "the file is empty; an empty config is {}");
  const twice = repeatedKey(root);
  if (twice !== undefined) {
    const { line } = placeOf(text, twice.first.offset);
    const key = JSON.stringify(twice.second.value);
    return fail(twice.second.offset, `the key ${key} is there twice, first in line ${line}; remove one of the two`);
  }
  return { value: valueOf(root) };
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

/** jsonc-parser's `SyntaxKind`, whose names are lost in its compiled form. */
const kinds = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, endOfFile: 17 };

function deepestOffset(text: string): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let kind: number = scanner.scan(); kind !== kinds.endOfFile; kind = scanner.scan()) {
    if (kind === kinds.openBrace || kind === kinds.openBracket) depth++;
    else if (kind === kinds.closeBrace || kind === kinds.closeBracket) depth--;
    if (depth > depthMax) return scanner.getTokenOffset();
  }
  return undefined;
}

function repeatedKey(node: Node): { first: Node; second: Node } | undefined {
  const seen = new Map<unknown, Node>();
  for (const child of node.children ?? []) {
    const [key] = node.type === "object" ? (child.children ?? []) : [];
    if (key !== undefined) {
      const first = seen.get(key.value);
      if (first !== undefined) return { first, second: key };
      seen.set(key.value, key);
    }
    const below = repeatedKey(child);
    if (below !== undefined) return below;
  }
  return undefined;
}

function valueOf({ type, value, children = [] }: Node): unknown {
  if (type === "array") return children.map(valueOf);
  if (type !== "object") return value;
  const result = Object.create(null) as Record<string, unknown>;
  for (const { children: [key, member] = [] } of children)
    if (key !== undefined && member !== undefined) result[String(key.value)] = valueOf(member);
  return result;
}
