/** A config file as a tree of values with their text positions, so that a change replaces only their bytes. */
/** Offsets into the text, in UTF-16 units; `end` is exclusive. */
export interface Span {
  start: number;
  end: number;
}

export interface Member {
  key: string;
  /** The key as written, with quotes and (TOML) the dotted path before it. */
  keySpan: Span;
  /** Start of the last part of a dotted key; otherwise the same as `keySpan.start`. */
  lastPartStart: number;
  value: Node;
}

export type ObjectNode = Span & { kind: "object"; members: Member[] };
type ArrayNode = Span & { kind: "array"; items: Node[] };
type StringNode = Span & { kind: "string"; value: string };
/** Numbers, booleans, null, dates: never changed here, so their text is enough. */
type OtherNode = Span & { kind: "other"; value: unknown };
export type Node = ObjectNode | ArrayNode | StringNode | OtherNode;

/** Deepest nesting: more than any config, less than the stack allows. */
export const depthMax = 200;

export class SyntaxProblem extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** Undefined if missing. Parsers disagree about duplicate keys, so those are rejected. */
export function memberOf(node: Node | undefined, key: string): Member | undefined {
  if (node?.kind !== "object") return undefined;
  const [first, second] = node.members.filter((member) => member.key === key);
  if (second !== undefined) throw twice(second);
  return first;
}

function twice({ key, keySpan }: Member): SyntaxProblem {
  return new SyntaxProblem(
    `the key ${JSON.stringify(key)} is there twice in one object; remove one of the two first`,
    keySpan.start,
  );
}

/** In an object and everything below it. */
export function refuseRepeatedKeys(node: Node): void {
  if (node.kind === "array") for (const item of node.items) refuseRepeatedKeys(item);
  if (node.kind !== "object") return;
  const seen = new Set<string>();
  for (const member of node.members) {
    if (seen.has(member.key)) throw twice(member);
    seen.add(member.key);
    refuseRepeatedKeys(member.value);
  }
}

/** The plain value; its objects have no prototype, so that any key is safe. */
export function valueOf(node: Node): unknown {
  if (node.kind === "array") return node.items.map(valueOf);
  if (node.kind !== "object") return node.value;
  const result = Object.create(null) as Record<string, unknown>;
  for (const { key, value } of node.members) result[key] = valueOf(value);
  return result;
}

/** A replacement for a span. */
export interface Edit extends Span {
  text: string;
}

/** The edits must not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = "";
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    if (edit.start < at) throw new RangeError("edits overlap");
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}
