/**
 * Repairs JSON Schemas of tools: clients and model interfaces reject a whole list for one invalid keyword. Removing a
 * keyword only makes the schema more permissive; the server validates anyway.
 */
import { isObject } from "../wire/json-rpc.ts";

/** Subschemas per schema, and their depth; larger schemas are rejected instead of repaired. */
const schemasMax = 10_000;
const depthMax = 128;
/** Reported places. */
const namedMax = 3;
const patternCharsMax = 2000;

type Check = (value: unknown, root: unknown) => boolean;

const types = new Set<unknown>(["array", "boolean", "integer", "null", "number", "object", "string"]);
const isText: Check = (value) => typeof value === "string";
const isFlag: Check = (value) => typeof value === "boolean";
const isNumber: Check = (value) => typeof value === "number";
const isCount: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const isTextList: Check = (value) => isSetOf(value, isText);

/** Checks of keywords that hold plain values. */
const values: Record<string, Check> = {
  type: (value) => types.has(value) || (isSetOf(value, (one) => types.has(one)) && (value as unknown[]).length > 0),
  required: isTextList,
  dependentRequired: (value) => isObject(value) && Object.values(value).every((list) => isTextList(list, undefined)),
  // An empty one is allowed, but ajv, and with it the MCP SDK, throws for it.
  enum: (value) => Array.isArray(value) && value.length > 0,
  examples: Array.isArray,
  pattern: isPattern,
  $ref: (value, root) => isText(value, root) && isKnownReference(value as string, root),
  multipleOf: (value) => isNumber(value, undefined) && (value as number) > 0,
  ...all(
    isText,
    "$id",
    "$schema",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$comment",
    "title",
    "description",
    "format",
  ),
  ...all(isText, "contentEncoding", "contentMediaType"),
  ...all(isFlag, "uniqueItems", "deprecated", "readOnly", "writeOnly"),
  ...all(isNumber, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
  ...all(isCount, "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
  ...all(isCount, "minContains", "maxContains"),
};
const schemaKeys = new Set(
  "additionalProperties items contains propertyNames not if then else unevaluatedItems unevaluatedProperties additionalItems contentSchema".split(
    " ",
  ),
);
const listKeys = new Set(["allOf", "anyOf", "oneOf", "prefixItems"]);
const mapKeys = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]);

export interface Repaired {
  schema: unknown;
  /** The first few places of removed keywords. */
  places: string[];
}

/** Undefined: it is too large to check. An unchanged schema is the same object. */
export function repairSchema(schema: unknown, name: string): Repaired | undefined {
  const repair = new Repair(schema);
  const repaired = repair.schema(schema, name, 0);
  return repair.isTooLarge ? undefined : { schema: repair.isChanged ? repaired : schema, places: repair.places };
}

class Repair {
  readonly places: string[] = [];
  isTooLarge = false;
  isChanged = false;
  readonly #root: unknown;
  #schemas = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  schema(value: unknown, place: string, depth: number): unknown {
    if (++this.#schemas > schemasMax || depth > depthMax) this.isTooLarge = true;
    if (this.isTooLarge || typeof value === "boolean") return value;
    if (!isObject(value)) {
      this.#note(place);
      return {};
    }
    const kept = Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
      const fixed = this.#member(key, each, `${place}.${key}`, depth);
      return fixed === undefined ? [] : [[key, fixed]];
    });
    return Object.fromEntries(kept);
  }

  /** Undefined: it is removed. */
  #member(key: string, value: unknown, place: string, depth: number): unknown {
    const inner = (one: unknown, name: string | number) => this.schema(one, `${place}.${name}`, depth + 1);
    const isList = Array.isArray(value) && value.length > 0;
    if (listKeys.has(key) || (key === "items" && isList)) {
      if (isList) return value.map(inner);
    } else if (schemaKeys.has(key)) {
      if (isObject(value) || typeof value === "boolean") return this.schema(value, place, depth + 1);
    } else if (mapKeys.has(key)) {
      const isArgument = depth === 0 && key === "properties";
      const each = (one: unknown, name: string) => inner(isArgument ? this.#asObject(one) : one, name);
      if (isObject(value))
        return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, each(one, name)]));
    } else if (!Object.hasOwn(values, key) || values[key]?.(value, this.#root) === true) return value;
    this.#note(place);
    return undefined;
  }

  /** The MCP SDK's clients accept no `true` or `false` for an argument, though JSON Schema has them. */
  #asObject(schema: unknown): unknown {
    if (typeof schema !== "boolean") return schema;
    this.isChanged = true;
    return schema ? {} : { not: {} };
  }

  #note(place: string): void {
    this.isChanged = true;
    if (this.places.length < namedMax) this.places.push(place.slice(0, 200));
  }
}

function all(check: Check, ...keys: string[]): Record<string, Check> {
  return Object.fromEntries(keys.map((key) => [key, check]));
}

function isSetOf(value: unknown, check: (one: unknown, root: unknown) => boolean): boolean {
  return Array.isArray(value) && new Set(value).size === value.length && value.every((one) => check(one, undefined));
}

/** As validators compile it. */
function isPattern(value: unknown): boolean {
  if (typeof value !== "string" || value.length > patternCharsMax) return false;
  try {
    return new RegExp(value, "u") instanceof RegExp;
  } catch {
    return false;
  }
}

/** A local reference must resolve; external ones are not checked. */
function isKnownReference(reference: string, root: unknown): boolean {
  if (!reference.startsWith("#/")) return true;
  let at = root;
  for (const word of reference.slice(2).split("/")) {
    const key = unescaped(word);
    if (key === undefined || typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return false;
    at = (at as Record<string, unknown>)[key];
  }
  return typeof at === "object" || typeof at === "boolean";
}

function unescaped(word: string): string | undefined {
  try {
    return decodeURIComponent(word).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return undefined;
  }
}
