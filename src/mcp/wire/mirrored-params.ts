/**
 * Tool parameters that the server wants repeated in headers, `Mcp-Param-<Name>`, by `x-mcp-header` in the tool's
 * `inputSchema` (revision 2026-07-28, streamable HTTP).
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { headerText, headerValue } from "./header-values.ts";
import { isObject } from "./json-rpc.ts";

export interface MirroredParam {
  /** Its path in the arguments: a chain of properties. */
  path: string[];
  /** The header's name after `Mcp-Param-`. */
  name: string;
}

const annotation = "x-mcp-header";
const prefix = "Mcp-Param-";
const types = ["string", "integer", "boolean"];
/** An HTTP token, as a field name must be (RFC 9110, 5.1). */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Subschemas that must not contain an annotation: single or in a list, and by name. */
const inner = ["items", "prefixItems", "contains", "additionalItems", "additionalProperties", "propertyNames"].concat([
  "unevaluatedItems",
  "unevaluatedProperties",
  "oneOf",
  "anyOf",
  "allOf",
  "not",
  "if",
  "then",
  "else",
]);
const innerByName = ["patternProperties", "dependentSchemas", "$defs", "definitions"];
/** Deeper schemas are not searched. */
const depthMax = 64;

/** The annotated parameters of a tool; or why its definition is invalid and must not be listed. */
export function mirroredParams(inputSchema: unknown): MirroredParam[] | string {
  const found: MirroredParam[] = [];
  const fault = walk(inputSchema, [], true, found);
  if (fault !== undefined) return fault;
  const names = found.map(({ name }) => name.toLowerCase());
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  return twice === undefined ? found : `${annotation} ${JSON.stringify(twice)} is there twice`;
}

function walk(schema: unknown, path: string[], isReachable: boolean, found: MirroredParam[]): string | undefined {
  if (!isObject(schema) || path.length > depthMax) return undefined;
  const wrong = annotation in schema ? take(schema, path, isReachable, found) : undefined;
  if (wrong !== undefined) return `${path.join(".") || "its root"}: ${wrong}`;
  const next: [step: string, child: unknown, isReachable: boolean][] = [];
  if (isObject(schema["properties"]))
    for (const [name, child] of Object.entries(schema["properties"])) next.push([name, child, isReachable]);
  for (const key of inner) for (const child of [schema[key]].flat()) next.push([key, child, false]);
  for (const key of innerByName)
    if (isObject(schema[key])) for (const child of Object.values(schema[key])) next.push([key, child, false]);
  for (const [step, child, isNextReachable] of next) {
    const fault = walk(child, [...path, step], isNextReachable, found);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function take(schema: Record<string, unknown>, path: string[], isReachable: boolean, found: MirroredParam[]) {
  const name = schema[annotation];
  if (!isReachable || path.length === 0) return `${annotation} must be reached by properties alone`;
  if (typeof name !== "string" || !token.test(name)) return `${annotation} must be a part of a header's name`;
  if (!types.includes(String(schema["type"]))) return `${annotation} wants a string, an integer or a boolean`;
  found.push({ path, name });
  return undefined;
}

/** The headers of a call with these arguments. A missing value has no header. */
export function mirrorHeaders(params: MirroredParam[], given: unknown): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const { path, name } of params) {
    const text = textOf(valueAt(given, path));
    if (text !== undefined) headers[prefix + name] = headerValue(text);
  }
  return headers;
}

/** Why headers and arguments differ, or undefined. */
export function mirrorProblem(
  params: MirroredParam[],
  given: unknown,
  headers: IncomingHttpHeaders,
): string | undefined {
  for (const { path, name } of params) {
    const header = headers[`${prefix}${name}`.toLowerCase()];
    const value = valueAt(given, path);
    const text = textOf(value);
    const where = `params.arguments.${path.join(".")}`;
    if (text === undefined) {
      if (header !== undefined) return `the ${prefix}${name} header is there, but ${where} is not`;
    } else {
      if (header === undefined) return `the ${prefix}${name} header is missing, and ${where} is there`;
      const said = headerText(String(header));
      if (said === undefined) return `the ${prefix}${name} header has characters that it must not have`;
      const isSame =
        said === text || (typeof value === "number" && /^-?\d+(\.\d+)?$/.test(said) && Number(said) === value);
      if (!isSame) return `${prefix}${name} header value '${said}' does not match body value '${text}'`;
    }
  }
  return undefined;
}

function valueAt(given: unknown, path: string[]): unknown {
  let value = given;
  for (const step of path) value = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  return value;
}

/** Undefined: not expressible in a header, such as an integer beyond a double's precision. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}
