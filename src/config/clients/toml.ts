/**
 * Locates the values of a TOML file by toml-eslint-parser, as the tree for edits. smol-toml decides whether the file is
 * valid and whether a change has the intended meaning, before and after.
 */
import { parseTOML, type AST } from "toml-eslint-parser";
import { SyntaxProblem, type Member, type Node, type ObjectNode, type Span } from "./tree.ts";

/** One `[table]` with its contents, from the bracket to the end of its last statement's line. */
export interface Section extends Span {
  path: string[];
}

interface KeyPart extends Span {
  name: string;
}

/** Throws the parser's SyntaxError, or SyntaxProblem. */
export function locateToml(text: string): { root: ObjectNode; sections: Section[] } {
  const root: ObjectNode = { kind: "object", members: [], start: 0, end: text.length };
  const sections: Section[] = [];
  // The parser rejects a byte order mark; a space in its place keeps every offset.
  for (const node of parseTOML(text.replace(/^\uFEFF/, " ")).body[0].body) {
    if (node.type === "TOMLKeyValue") {
      assign(root, node);
      continue;
    }
    const [start, end] = node.range;
    const lineEnd = text.indexOf("\n", end);
    const parts = partsOf(node.key);
    sections.push({ path: parts.map(({ name }) => name), start, end: lineEnd === -1 ? text.length : lineEnd + 1 });
    const table = node.kind === "array" ? appendTable(root, parts, { start, end }) : descend(root, parts);
    for (const member of node.body) assign(table, member);
  }
  return { root, sections };
}

function partsOf({ keys }: AST.TOMLKey): KeyPart[] {
  return keys.map((key) => {
    const [start, end] = key.range;
    return { name: key.type === "TOMLBare" ? key.name : key.value, start, end };
  });
}

function assign(table: ObjectNode, { key, value }: AST.TOMLKeyValue): void {
  const parts = partsOf(key);
  const [start, end] = key.range;
  const last = parts.pop() as KeyPart;
  const parent = descend(table, parts);
  parent.members.push({ key: last.name, keySpan: { start, end }, lastPartStart: last.start, value: nodeOf(value) });
}

function nodeOf(node: AST.TOMLContentNode): Node {
  const [start, end] = node.range;
  if (node.type === "TOMLArray") return { kind: "array", items: node.elements.map(nodeOf), start, end };
  if (node.type === "TOMLInlineTable") {
    const table: ObjectNode = { kind: "object", members: [], start, end };
    for (const member of node.body) assign(table, member);
    return table;
  }
  if (node.kind === "string") return { kind: "string", value: node.value, start, end };
  return { kind: "other", value: node.value, start, end };
}

/** The table at a path, created if missing; in a list of tables the newest one. */
function descend(from: ObjectNode, parts: readonly KeyPart[]): ObjectNode {
  let table = from;
  for (const part of parts) {
    const { value } = memberAt(table, part, { kind: "object", members: [], ...part });
    const next = value.kind === "array" ? value.items.at(-1) : value;
    if (next?.kind !== "object") throw new SyntaxProblem(`${part.name} is not a table`, part.start);
    table = next;
  }
  return table;
}

/** Appends an element to a list of tables. */
function appendTable(root: ObjectNode, parts: readonly KeyPart[], span: Span): ObjectNode {
  const last = parts.at(-1) as KeyPart;
  const list = memberAt(descend(root, parts.slice(0, -1)), last, { kind: "array", items: [], ...last }).value;
  if (list.kind !== "array") throw new SyntaxProblem(`${last.name} is not a list of tables`, last.start);
  const table: ObjectNode = { kind: "object", members: [], ...span };
  list.items.push(table);
  return table;
}

function memberAt(table: ObjectNode, part: KeyPart, value: Node): Member {
  let member = table.members.find(({ key }) => key === part.name);
  if (member === undefined) {
    member = { key: part.name, keySpan: part, lastPartStart: part.start, value };
    table.members.push(member);
  }
  return member;
}
