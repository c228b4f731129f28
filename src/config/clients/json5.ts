/** Parses JSON, JSON with comments and JSON5 into a tree with offsets: one reader for every client except Codex. */
import { SyntaxProblem, depthMax, type Member, type Node, type Span } from "./tree.ts";

const escapes: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "0": "\0" };
const bareKey = /[\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}$_\u200C\u200D]/u;
const scalar =
  /^(?:true|false|null|[+-]?(?:Infinity|NaN|0[xX][0-9a-fA-F]+|(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?))$/;

class Reader {
  readonly #text: string;
  readonly #blanks = /[\s\uFEFF]*/y;
  /** Up to any of JSON5's line ends. */
  readonly #lineComment = /[^\n\r\u2028\u2029]*/y;
  readonly #plainText = /[^"'\\\r\n]*/y;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Node {
    this.#skip();
    const node = this.#value(0);
    this.#skip();
    if (this.#at < this.#text.length) throw this.#problem("more follows after the value");
    return node;
  }

  #problem(message: string): SyntaxProblem {
    return new SyntaxProblem(message, this.#at);
  }

  /** Skips whitespace and comments. */
  #skip(): void {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) return;
      if (char > "/" && char < "\u0080") return;
      this.#blanks.lastIndex = this.#at;
      const length = this.#blanks.exec(this.#text)?.[0].length ?? 0;
      if (length > 0) this.#at += length;
      else if (this.#text.startsWith("//", this.#at)) {
        this.#lineComment.lastIndex = this.#at;
        this.#at += this.#lineComment.exec(this.#text)?.[0].length ?? 0;
      } else if (this.#text.startsWith("/*", this.#at)) {
        const end = this.#text.indexOf("*/", this.#at + 2);
        if (end === -1) throw this.#problem("a comment does not end");
        this.#at = end + 2;
      } else return;
    }
  }

  #value(depth: number): Node {
    if (depth > depthMax) throw this.#problem(`values are more than ${depthMax} levels deep`);
    const start = this.#at;
    const char = this.#text[start];
    if (char === "{") return this.#object(depth);
    if (char === "[") return this.#array(depth);
    if (char === '"' || char === "'") {
      const value = this.#string(char);
      return { kind: "string", value, start, end: this.#at };
    }
    const word = /[^\s,\]}:/\uFEFF]*/y;
    word.lastIndex = start;
    const [text = ""] = word.exec(this.#text) ?? [];
    if (!scalar.test(text))
      throw this.#problem(text === "" ? "a value is missing" : `${text.slice(0, 40)} is not a value`);
    this.#at += text.length;
    return { kind: "other", value: scalarOf(text), start, end: this.#at };
  }

  #object(depth: number): Node {
    const start = this.#at;
    const members: Member[] = [];
    this.#list("}", () => {
      const keySpan: Span = { start: this.#at, end: this.#at };
      const key = this.#key();
      keySpan.end = this.#at;
      this.#skip();
      if (this.#text[this.#at] !== ":") throw this.#problem(`a colon is missing after the key ${key.slice(0, 40)}`);
      this.#at += 1;
      this.#skip();
      members.push({ key, keySpan, lastPartStart: keySpan.start, value: this.#value(depth + 1) });
    });
    return { kind: "object", members, start, end: this.#at };
  }

  #array(depth: number): Node {
    const start = this.#at;
    const items: Node[] = [];
    this.#list("]", () => items.push(this.#value(depth + 1)));
    return { kind: "array", items, start, end: this.#at };
  }

  /** From the opening bracket past the closing one; allows a trailing comma. */
  #list(close: string, readOne: () => void): void {
    this.#at += 1;
    this.#skip();
    while (this.#text[this.#at] !== close) {
      readOne();
      this.#skip();
      if (this.#text[this.#at] === ",") {
        this.#at += 1;
        this.#skip();
      } else if (this.#text[this.#at] !== close) throw this.#problem(`a comma or ${close} is missing`);
    }
    this.#at += 1;
  }

  #key(): string {
    const char = this.#text[this.#at];
    if (char === '"' || char === "'") return this.#string(char);
    let end = this.#at;
    while (end < this.#text.length && bareKey.test(this.#text[end] ?? "")) end += 1;
    const key = this.#text.slice(this.#at, end);
    if (key === "" || /^\d/.test(key)) throw this.#problem("a key is missing");
    this.#at = end;
    return key;
  }

  #string(quote: string): string {
    let value = "";
    let from = (this.#at += 1);
    for (;;) {
      this.#plainText.lastIndex = this.#at;
      this.#at += this.#plainText.exec(this.#text)?.[0].length ?? 0;
      const char = this.#text[this.#at];
      if (char === undefined || char === "\n" || char === "\r") throw this.#problem("a string does not end");
      if (char !== quote && char !== "\\") {
        this.#at += 1;
        continue;
      }
      value += this.#text.slice(from, this.#at);
      this.#at += 1;
      if (char === quote) return value;
      value += this.#escape();
      from = this.#at;
    }
  }

  /** After a backslash. */
  #escape(): string {
    const char = this.#text[this.#at] ?? "";
    this.#at += 1;
    if (char === "u" || char === "x") {
      const length = char === "u" ? 4 : 2;
      const digits = this.#text.slice(this.#at, this.#at + length);
      if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length < length) throw this.#problem("an escape is cut off");
      this.#at += length;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    if (char === "\r" && this.#text[this.#at] === "\n") this.#at += 1;
    if (/[\r\n\u2028\u2029]/.test(char)) return "";
    if (/\d/.test(char) && (char !== "0" || /\d/.test(this.#text[this.#at] ?? "")))
      throw this.#problem("a digit cannot be escaped");
    return escapes[char] ?? char;
  }
}

function scalarOf(text: string): unknown {
  if (text === "true") return true;
  if (text === "false") return false;
  if (text === "null") return null;
  const [, sign = "", digits = ""] = /^([+-]?)(.*)$/.exec(text) ?? [];
  return (sign === "-" ? -1 : 1) * Number(digits);
}

/** Throws SyntaxProblem. A byte order mark counts as whitespace. */
export function readJson5(text: string): Node {
  return new Reader(text).read();
}
