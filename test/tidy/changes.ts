/** What an expression changes. */
import { bare, nodeIn, nodesIn, targetsOf, textIn, type Node } from "./syntax.ts";

/** Methods that change their object. */
const changing =
  /^(?:set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|write(?:U?Int|Big|Float|Double).*)$/;
/** Static methods that change their first argument. */
const changingFirst = /^(?:Object\.(?:assign|define\w+|setPrototypeOf)|Reflect\.(?:set|deleteProperty|define\w+))$/;

/** The object at the beginning of `a.b[c].d`. */
export function rootOf(node: Node): Node {
  const value = bare(node);
  const object = value.type === "MemberExpression" ? nodeIn(value["object"]) : undefined;
  return object === undefined ? value : rootOf(object);
}

/** `a.b` as text; "" for everything else. */
export function dotted(node: Node | undefined): string {
  if (node?.type === "Identifier") return textIn(node["name"]);
  if (node?.type !== "MemberExpression" || node["computed"] === true) return "";
  const object = nodeIn(node["object"]);
  return `${dotted(object === undefined ? undefined : bare(object))}.${textIn(nodeIn(node["property"])?.["name"])}`;
}

/** What this expression or statement changes. */
export function changedBy({ type, ...node }: Node): Node[] {
  if (type === "AssignmentExpression") return nodesIn(node["left"]).flatMap(targetsOf);
  if (type === "UpdateExpression") return nodesIn(node["argument"]);
  if (type === "UnaryExpression" && node["operator"] === "delete") return nodesIn(node["argument"]);
  if (/^For(?:In|Of)/.test(type))
    return nodesIn(node["left"])
      .filter((left) => left.type !== "VariableDeclaration")
      .flatMap(targetsOf);
  if (type !== "CallExpression") return [];
  const callee = nodeIn(node["callee"]);
  if (callee?.type !== "MemberExpression") return [];
  if (changingFirst.test(dotted(callee))) return nodesIn(node["arguments"]).slice(0, 1);
  return changing.test(textIn(nodeIn(callee["property"])?.["name"])) ? nodesIn(callee["object"]) : [];
}
