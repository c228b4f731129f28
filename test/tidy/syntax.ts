/** The syntax tree of a file of TypeScript: its values without its types, and where each name is declared. */
import { parseAst } from "rolldown/parseAst";

/** Node of an ESTree. */
export interface Node {
  type: string;
  start: number;
  [key: string]: unknown;
}

/** A node and where it stands. */
export interface Place {
  node: Node;
  parent: Place | undefined;
}

const valuesWithType: ReadonlySet<string> = new Set(["TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression"]);

export function parse(text: string): Node {
  return parseAst(text, { lang: "ts" }) as unknown as Node;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** Nodes of one member, which is a node, a list of nodes, or something else. */
export function nodesIn(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [];
}

export function nodeIn(value: unknown): Node | undefined {
  return isNode(value) ? value : undefined;
}

export function textIn(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Every value in this tree, from the outside in. */
export function placesIn(node: Node, parent?: Place, found: Place[] = []): Place[] {
  if (node.type.startsWith("TS") && !valuesWithType.has(node.type)) return found;
  const place = { node, parent };
  found.push(place);
  for (const value of Object.values(node)) for (const child of nodesIn(value)) placesIn(child, place, found);
  return found;
}

/** Without what only the compiler sees: casts, `!`, and the wrapper of `?.`. */
export function bare(node: Node): Node {
  const { expression } = node;
  const isWrapper = valuesWithType.has(node.type) || /^(?:Chain|Parenthesized)Expression$/.test(node.type);
  return isWrapper && isNode(expression) ? bare(expression) : node;
}

export function isFunction({ type }: Node): boolean {
  return /^(?:Function(?:Declaration|Expression)|ArrowFunctionExpression)$/.test(type);
}

/** Identifiers and members that a pattern assigns to. */
export function targetsOf(pattern: Node): Node[] {
  if (pattern.type === "ArrayPattern") return nodesIn(pattern["elements"]).flatMap(targetsOf);
  if (pattern.type === "ObjectPattern") return nodesIn(pattern["properties"]).flatMap(targetsOf);
  if (pattern.type === "Property") return nodesIn(pattern["value"]).flatMap(targetsOf);
  if (pattern.type === "RestElement") return nodesIn(pattern["argument"]).flatMap(targetsOf);
  if (pattern.type === "AssignmentPattern") return nodesIn(pattern["left"]).flatMap(targetsOf);
  return [bare(pattern)];
}

/** The declaration itself, where it is exported too. */
export function unexported(statement: Node): Node {
  return nodeIn(statement["declaration"]) ?? statement;
}

function namesIn(pattern: Node): string[] {
  return targetsOf(pattern).map(({ name }) => textIn(name));
}

/** Names that this statement declares in the scope around it. */
export function namesDeclared(statement: Node): string[] {
  const declaration = unexported(statement);
  if (declaration.type === "VariableDeclaration")
    return nodesIn(declaration["declarations"]).flatMap(({ id }) => nodesIn(id).flatMap(namesIn));
  if (declaration.type === "ImportDeclaration")
    return nodesIn(declaration["specifiers"]).flatMap(({ local }) => nodesIn(local).flatMap(namesIn));
  return /^(?:Function|Class)Declaration$/.test(declaration.type) ? nodesIn(declaration["id"]).flatMap(namesIn) : [];
}

/** Names of which this node is the scope. */
function namesOfScope(node: Node): string[] {
  const { type } = node;
  if (isFunction(node))
    return [...nodesIn(node["params"]), ...(type === "FunctionExpression" ? nodesIn(node["id"]) : [])].flatMap(namesIn);
  if (type === "ClassExpression") return nodesIn(node["id"]).flatMap(namesIn);
  if (type === "CatchClause") return nodesIn(node["param"]).flatMap(namesIn);
  if (type === "SwitchStatement")
    return nodesIn(node["cases"]).flatMap(({ consequent }) => nodesIn(consequent).flatMap(namesDeclared));
  if (/^(?:Program|BlockStatement|StaticBlock)$/.test(type)) return nodesIn(node["body"]).flatMap(namesDeclared);
  return type.startsWith("For") ? [...nodesIn(node["init"]), ...nodesIn(node["left"])].flatMap(namesDeclared) : [];
}

/** Finds the scopes of names in one tree. */
export class Scopes {
  readonly #names = new Map<Node, ReadonlySet<string>>();

  /** The scope that declares this name for code at this place; undefined: a global. */
  of(name: string, from: Place): Place | undefined {
    for (let place: Place | undefined = from; place !== undefined; place = place.parent)
      if (this.#namesOf(place.node).has(name)) return place;
    return undefined;
  }

  #namesOf(node: Node): ReadonlySet<string> {
    const names = this.#names.get(node) ?? new Set(namesOfScope(node));
    this.#names.set(node, names);
    return names;
  }
}

/** The function around this place, or itself. */
export function functionAround(from: Place): Place | undefined {
  for (let place: Place | undefined = from; place !== undefined; place = place.parent)
    if (isFunction(place.node)) return place;
  return undefined;
}
