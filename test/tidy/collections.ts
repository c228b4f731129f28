/** Arrays, maps and sets of a module: which can be changed, and where they go. */
import { dotted } from "./changes.ts";
import { bare, nodeIn, nodesIn, textIn, type Node, type Place } from "./syntax.ts";

export const collections: ReadonlySet<string> = new Set(["Map", "Set", "Array"]);
/** Static methods that copy their argument. */
const copying = /^(?:Object\.(?:keys|values|entries|fromEntries)|Array\.from|JSON\.stringify)$/;

/** The value is a collection that can be changed: an array, a Map or a Set without a type that forbids it. */
export function isOpenCollection(declarator: Node): boolean {
  const init = nodeIn(declarator["init"]);
  if (init === undefined || nodeIn(declarator["id"])?.type !== "Identifier" || isReadOnly(declarator)) return false;
  const value = bare(init);
  return (
    value.type === "ArrayExpression" ||
    (value.type === "NewExpression" && collections.has(dotted(nodeIn(value["callee"]))))
  );
}

/** `const x: ReadonlySet<T>`, `readonly T[]`, `Readonly<T>` or a type with one inside, or `as const`. */
export function isReadOnly({ id, init }: Node): boolean {
  const said = nodeIn(nodeIn(id)?.["typeAnnotation"]);
  if (said !== undefined) return forbidsChange(said);
  return textIn(nodeIn(nodeIn(nodeIn(init)?.["typeAnnotation"])?.["typeName"])?.["name"]) === "const";
}

function forbidsChange(type: Node): boolean {
  if (type["operator"] === "readonly" || type["readonly"] === true) return true;
  if (textIn(nodeIn(type["typeName"])?.["name"]).startsWith("Readonly")) return true;
  return Object.values(type).flatMap(nodesIn).some(forbidsChange);
}

/** Uses a collection without handing it on. */
export function isLook(node: Node, { node: parent }: Place): boolean {
  const callee = dotted(nodeIn(parent["callee"]));
  if (parent.type === "NewExpression") return collections.has(callee);
  if (parent.type === "CallExpression") return copying.test(callee);
  if (/^For(?:In|Of)Statement$/.test(parent.type)) return parent["right"] === node;
  return /^(?:MemberExpression|SpreadElement|BinaryExpression|ExportSpecifier)$/.test(parent.type);
}
