/**
 * Small faults to put into the product, one at a time, to see whether the simulation notices. What it does not notice is either
 * of no consequence or not yet watched.
 */
import { readdirSync, readFileSync } from "node:fs";
import { SeededRandom } from "../../src/platform/simulated/random.ts";
import { nodeIn, nodesIn, parse, placesIn, textIn, type Node, type Place } from "../tidy/syntax.ts";
import { readPatched, type Patch } from "./patched.ts";

const root = new URL("../../", import.meta.url);

/** Rooms under test. */
export const rooms: Record<string, readonly string[]> = {
  keeper: ["src/keeper"],
  sessions: ["src/sessions", "src/ownership", "src/mcp/session"],
  runs: ["src/runs"],
  nodes: ["src/nodes"],
};

/** Why a mutant is not drawn; what the simulated product never loads is left out as well. */
export const leftOut = {
  words: "only words of an error or a line of the log",
  instant: "whether a bound in time includes its last instant",
  npm: "waits for a real npm and what it writes",
  unloaded: "stands for the real process, which the simulation replaces",
} as const;
export type LeftOut = keyof typeof leftOut;

export interface Mutant extends Patch {
  readonly at: number;
  readonly room: string;
  readonly line: number;
  readonly kind: string;
  readonly leftOut?: LeftOut | undefined;
}

interface Span extends Node {
  readonly end: number;
}

interface Change {
  kind: string;
  at: number;
  find: string;
  put: string;
  leftOut: LeftOut | undefined;
}

const opposite: Record<string, string> = {
  "===": "!==",
  "!==": "===",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "&&": "||",
  "||": "&&",
};

/** Every way to mutate this text, in place. */
export function mutantsOf(text: string): Change[] {
  const found: Change[] = [];
  const of = (node: Node) => text.slice(node.start, (node as Span).end);
  for (const place of placesIn(parse(text))) {
    const { node } = place;
    const { type } = node;
    const leftOutHere = isInWords(place) ? "words" : isBoundInTime(node, of(node)) ? "instant" : undefined;
    const add = (kind: string, changed: Node, put: string) =>
      found.push({
        kind,
        at: changed.start,
        find: of(changed),
        put,
        leftOut: kind === "other operator" || leftOutHere === "words" ? leftOutHere : undefined,
      });
    const test = nodeIn(node["test"]);
    if (type === "AwaitExpression") add("deleted await", node, of(node).replace(/^await\s+/, ""));
    if (/^(?:If|While|Conditional)/.test(type) && test !== undefined) add("inverted condition", test, `!(${of(test)})`);
    if (isEffect(node)) add("dropped statement", node, ";");
    if (type === "AssignmentExpression" && node["operator"] === "??=")
      add("unconditional write", node, of(node).replace("??=", "="));
    const [left, right] = [nodeIn(node["left"]), nodeIn(node["right"])];
    const operator = textIn(node["operator"]);
    if (/^(?:Binary|Logical)Expression$/.test(type) && left !== undefined && right !== undefined)
      if (opposite[operator] !== undefined)
        add("other operator", node, swapOperator(text, node, [left, right], operator));
    const body = /^(?:Block|Function)/.test(type) ? nodesIn(node["body"]) : [];
    for (const [index, first] of body.entries()) {
      const second = body[index + 1];
      if (second === undefined || !isEffect(first) || !isEffect(second)) continue;
      // The order of two plain assignments is of no consequence.
      if (!/\(/.test(of(first)) || !/\(/.test(of(second))) continue;
      const between = text.slice((first as Span).end, second.start);
      const whole = { ...first, end: (second as Span).end } as Span;
      add("swapped statements", whole, `${of(second)}${between}${of(first)}`);
    }
  }
  return found;
}

/** A statement that writes or calls. */
function isEffect({ type, expression }: Node): boolean {
  const effect = nodeIn(expression);
  if (type !== "ExpressionStatement" || effect === undefined) return false;
  return nodeIn(effect["callee"])?.type !== "Super";
}

/** In a template, in what a new error is given, or a line of the log. */
function isInWords(place: Place): boolean {
  const statement = nodeIn(place.node["expression"]);
  if (place.node.type === "ExpressionStatement" && statement !== undefined && isLogging(statement)) return true;
  for (let at: Place | undefined = place; at !== undefined; at = at.parent) {
    const { node } = at;
    if (/Function|Method|Class/.test(node.type)) return false;
    if (node.type === "TemplateLiteral" || isLogging(node)) return true;
    if (node.type === "NewExpression" && textIn(nodeIn(node["callee"])?.["name"]).endsWith("Error")) return true;
  }
  return false;
}

function isLogging({ type, callee }: Node): boolean {
  if (type !== "CallExpression") return false;
  const named = nodeIn(callee);
  const names = [
    named,
    nodeIn(named?.["property"]),
    nodeIn(nodeIn(named?.["object"])?.["property"]),
    nodeIn(named?.["object"]),
  ];
  return names.some((each) => /^log$/.test(textIn(each?.["name"])));
}

/** `<` instead of `<=` between times. */
function isBoundInTime({ type, operator }: Node, text: string): boolean {
  if (type !== "BinaryExpression" || !/^[<>]=?$/.test(textIn(operator))) return false;
  return /(?:Ms|At|Since|[dD]eadline|[nN]ow|monotonic)\b/.test(text);
}

/** The operands may stand in parentheses, which belong to neither. */
function swapOperator(text: string, node: Node, [left, right]: readonly [Node, Node], operator: string): string {
  const between = text.slice((left as Span).end, right.start).replace(operator, opposite[operator] ?? operator);
  return text.slice(node.start, (left as Span).end) + between + text.slice(right.start, (node as Span).end);
}

function filesOf(directory: string): string[] {
  const names = readdirSync(new URL(directory, root), { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${directory}/${name}`)
    .toSorted();
}

/** All there are, by room; `loaded`: files that the simulated product loads. */
export function allMutants(loaded: ReadonlySet<string>): Map<string, Mutant[]> {
  const ofFile = (room: string) => (file: string) => {
    const text = readFileSync(new URL(file, root), "utf8");
    const lineOf = (at: number) => text.slice(0, at).split("\n").length;
    return mutantsOf(text).map((one): Mutant => {
      const why = !loaded.has(file) ? "unloaded" : file.startsWith("src/keeper/packages/") ? "npm" : undefined;
      return { ...one, file, room, line: lineOf(one.at), leftOut: why ?? one.leftOut };
    });
  };
  return new Map(
    Object.entries(rooms).map(([room, directories]) => [room, directories.flatMap(filesOf).flatMap(ofFile(room))]),
  );
}

/** Some swaps need parentheses that the text does not have: no program results. */
function canBeRead(mutant: Mutant): boolean {
  try {
    parse(readPatched([mutant], mutant.file));
    return true;
  } catch {
    return false;
  }
}

/** As many from each room, as the seed draws them. */
export function drawMutants(count: number, seed: number, all: ReadonlyMap<string, readonly Mutant[]>): Mutant[] {
  const random = new SeededRandom(seed);
  const drawn: Mutant[] = [];
  const left = [...all.values()].map((mutants) => mutants.filter((mutant) => mutant.leftOut === undefined));
  for (let turn = 0; drawn.length < count && left.some(({ length }) => length > 0); turn += 1) {
    const choice = left[turn % left.length]!;
    const mutant = random.pick(choice);
    if (mutant === undefined) continue;
    choice.splice(choice.indexOf(mutant), 1);
    if (canBeRead(mutant)) drawn.push(mutant);
  }
  return drawn;
}

export function describeMutant({ file, line, kind, find }: Mutant): string {
  return `${file}:${line} ${kind}: ${find.replaceAll(/\s+/g, " ").slice(0, 90)}`;
}
