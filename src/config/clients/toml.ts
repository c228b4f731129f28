/**
 * Finds where the values of a TOML file stand. It only locates: whether the file is TOML at all, and whether a changed one
 * means what it should, is for smol-toml to say, before and after.
 */
import { SyntaxProblem, depthMax, type Member, type Node, type ObjectNode, type Span } from "./tree.ts";

/** One `[table]` with all that stands under it, from the bracket to the end of its last statement's line. */
export interface Section extends Span {
  path: string[];
}

interface KeyPart extends Span {
  name: string;
}

class Reader {
  readonly #text: string;
  readonly #root: ObjectNode;
  readonly sections: Section[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#root = { kind: "object", members: [], start: 0, end: text.length };
  }

  read(): ObjectNode {
    let table = this.#root;
    for (this.#skip(true); this.#at < this.#text.length; this.#skip(true)) {
      if (this.#text[this.#at] === "[") table = this.#header();
      else this.#assign(table, 0);
      const section = this.sections.at(-1);
      if (section !== undefined) section.end = this.#lineEnd();
    }
    return this.#root;
  }

  #problem(message: string): SyntaxProblem {
    return new SyntaxProblem(message, this.#at);
  }

  /** Blanks and, where they may be, line ends and comments. */
  #skip(lines: boolean): void {
    const blank = lines ? /(?:[\s\uFEFF]|#[^\n]*)*/y : /[ \t]*/y;
    blank.lastIndex = this.#at;
    this.#at += blank.exec(this.#text)?.[0].length ?? 0;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf("\n", this.#at);
    return end === -1 ? this.#text.length : end + 1;
  }

  #header(): ObjectNode {
    const start = this.#at;
    const isList = this.#text.startsWith("[[", start);
    this.#at += isList ? 2 : 1;
    const parts = this.#key();
    this.#at += isList ? 2 : 1;
    const path = parts.map(({ name }) => name);
    this.sections.push({ path, start, end: this.#at });
    const last = parts.pop();
    const parent = this.#descend(this.#root, parts);
    if (last === undefined) throw this.#problem("a table has no name");
    if (!isList) return this.#descend(parent, [last]);
    const list = this.#memberAt(parent, last, () => ({ kind: "array", items: [], ...last })).value;
    const table: ObjectNode = { kind: "object", members: [], start, end: this.#at };
    if (list.kind === "array") list.items.push(table);
    return table;
  }

  #memberAt(table: ObjectNode, part: KeyPart, make: () => Node): Member {
    let member = table.members.find(({ key }) => key === part.name);
    if (member === undefined) {
      member = { key: part.name, keySpan: part, lastPartStart: part.start, value: make() };
      table.members.push(member);
    }
    return member;
  }

  /** The table at the end of a path, made where it is not there yet; in a list of tables the newest one. */
  #descend(from: ObjectNode, parts: KeyPart[]): ObjectNode {
    let table = from;
    for (const part of parts) {
      const { value } = this.#memberAt(table, part, () => ({ kind: "object", members: [], ...part }));
      const next = value.kind === "array" ? value.items.at(-1) : value;
      if (next?.kind !== "object") throw this.#problem(`${part.name} is not a table`);
      table = next;
    }
    return table;
  }

  #assign(table: ObjectNode, depth: number): void {
    const parts = this.#key();
    const first = parts[0];
    const last = parts.pop();
    if (first === undefined || last === undefined) throw this.#problem("a key is missing");
    if (this.#text[this.#at] !== "=") throw this.#problem("an equals sign is missing");
    this.#at += 1;
    this.#skip(false);
    const parent = this.#descend(table, parts);
    const keySpan = { start: first.start, end: last.end };
    parent.members.push({ key: last.name, keySpan, lastPartStart: last.start, value: this.#value(depth) });
  }

  /** A dotted key; stops at what follows it. */
  #key(): KeyPart[] {
    const parts: KeyPart[] = [];
    do {
      if (parts.length > 0) this.#at += 1;
      this.#skip(false);
      const start = this.#at;
      const quote = this.#text[start];
      let name: string;
      if (quote === '"' || quote === "'") name = this.#string();
      else {
        const bare = /[A-Za-z0-9_-]+/y;
        bare.lastIndex = start;
        name = bare.exec(this.#text)?.[0] ?? "";
        if (name === "") throw this.#problem("a key is missing");
        this.#at += name.length;
      }
      parts.push({ name, start, end: this.#at });
      this.#skip(false);
    } while (this.#text[this.#at] === ".");
    return parts;
  }

  #value(depth: number): Node {
    if (depth > depthMax) throw this.#problem(`values are more than ${depthMax} levels deep`);
    const start = this.#at;
    const char = this.#text[start];
    if (char === '"' || char === "'") {
      const value = this.#string();
      return { kind: "string", value, start, end: this.#at };
    }
    if (char === "[") {
      const items: Node[] = [];
      this.#list("]", () => items.push(this.#value(depth + 1)));
      return { kind: "array", items, start, end: this.#at };
    }
    if (char === "{") {
      const table: ObjectNode = { kind: "object", members: [], start, end: start };
      this.#list("}", () => this.#assign(table, depth + 1));
      table.end = this.#at;
      return table;
    }
    const bare = /[^,\]}#\n\r]+/y;
    bare.lastIndex = start;
    const text = (bare.exec(this.#text)?.[0] ?? "").trimEnd();
    if (text === "") throw this.#problem("a value is missing");
    this.#at += text.length;
    return { kind: "other", value: text, start, end: this.#at };
  }

  #list(close: string, readOne: () => void): void {
    this.#at += 1;
    for (this.#skip(true); this.#text[this.#at] !== close; this.#skip(true)) {
      if (this.#at >= this.#text.length) throw this.#problem(`${close} is missing`);
      readOne();
      this.#skip(true);
      if (this.#text[this.#at] === ",") this.#at += 1;
    }
    this.#at += 1;
  }

  /** Any of the four kinds of string, by the quote that stands here. */
  #string(): string {
    const quote = this.#text[this.#at] ?? "";
    const long = quote.repeat(3);
    const isLong = this.#text.startsWith(long, this.#at);
    const close = isLong ? long : quote;
    this.#at += close.length;
    const from = this.#at;
    while (!this.#text.startsWith(close, this.#at)) {
      if (this.#at >= this.#text.length) throw this.#problem("a string does not end");
      this.#at += quote === '"' && this.#text[this.#at] === "\\" ? 2 : 1;
    }
    // Up to two more quotes may stand before the closing three.
    if (isLong) while (this.#text.startsWith(long, this.#at + 1)) this.#at += 1;
    const raw = this.#text.slice(from, this.#at);
    this.#at += close.length;
    return quote === '"' ? unescape(raw, isLong) : isLong ? raw.replace(/^\r?\n/, "") : raw;
  }
}

const escapes: Record<string, string> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", e: "\u001B" };

function unescape(raw: string, isLong: boolean): string {
  const text = isLong ? raw.replace(/^\r?\n/, "").replaceAll(/\\[ \t]*\r?\n\s*/g, "") : raw;
  return text.replaceAll(
    /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([^]))/g,
    (_, four?: string, eight?: string, two?: string, char = "") => {
      const code = four ?? eight ?? two;
      return code === undefined ? (escapes[char] ?? char) : String.fromCodePoint(Number.parseInt(code, 16));
    },
  );
}

/** Expects text that smol-toml has read; throws SyntaxProblem when it cannot follow it. */
export function locateToml(text: string): { root: ObjectNode; sections: Section[] } {
  const reader = new Reader(text);
  const root = reader.read();
  return { root, sections: reader.sections };
}
