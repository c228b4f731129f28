/** Valid values of a zod schema, and values that are almost valid. */
import * as fc from "fast-check";
import type { z } from "zod";
import { errorCodes } from "../../../src/errors.ts";
import { lifecycleMeanings } from "../../../src/events.ts";

interface Check {
  _zod: {
    def: { check: string; minimum?: number; maximum?: number; value?: number; pattern?: RegExp; format?: string };
  };
}
/** What this reads of a schema's definition; each kind has its own parts. */
interface Definition {
  type: string;
  format?: string;
  checks?: Check[];
  shape?: Record<string, z.ZodType>;
  entries?: Record<string, string>;
  values?: unknown[];
  options?: z.ZodType[];
  element?: z.ZodType;
  innerType?: z.ZodType;
  valueType?: z.ZodType;
  in?: z.ZodType;
}

const definitionOf = (schema: z.ZodType) => schema.def as unknown as Definition;
/** Of several bounds of one kind the last one is the narrowest. */
const boundOf = (checks: Check[], name: string) =>
  checks
    .map(({ _zod: { def } }) => (def.check === name ? (def.minimum ?? def.maximum ?? def.value) : undefined))
    .findLast((bound) => bound !== undefined);

function textOf({ format, checks = [] }: Definition): fc.Arbitrary<string> {
  if (format === "url") return fc.webUrl();
  if (checks.some(({ _zod: { def } }) => def.check === "custom"))
    return fc.constantFrom(...Object.keys(lifecycleMeanings));
  const pattern = checks.map(({ _zod: { def } }) => def.pattern).find((each) => each !== undefined);
  if (pattern !== undefined) return fc.stringMatching(pattern);
  const minLength = boundOf(checks, "min_length") ?? 0;
  return fc.string({
    unit: "binary",
    minLength,
    maxLength: Math.min(boundOf(checks, "max_length") ?? 8, minLength + 8),
  });
}

function numberOf({ format, checks = [] }: Definition): fc.Arbitrary<number> {
  const min = boundOf(checks, "greater_than");
  const max = boundOf(checks, "less_than");
  if (format === undefined)
    return fc
      .double({ noNaN: true, noDefaultInfinity: true, ...(min === undefined ? {} : { min }) })
      .map((value) => value + 0);
  const [low, high] = [min ?? Number.MIN_SAFE_INTEGER, max ?? Number.MAX_SAFE_INTEGER];
  return fc.oneof(
    fc.constantFrom(low, high),
    fc.maxSafeInteger().map((value) => Math.min(high, Math.max(low, value))),
  );
}

function objectOf(shape: Record<string, z.ZodType>): fc.Arbitrary<unknown> {
  const values = Object.fromEntries(Object.entries(shape).map(([key, schema]) => [key, valueOf(schema)]));
  const optional = ["optional", "default", "prefault"];
  const requiredKeys = Object.keys(shape).filter((key) => !optional.includes(definitionOf(shape[key]!).type));
  return fc.record(values, { requiredKeys, noNullPrototype: true });
}

/** Values that the schema accepts. */
export function valueOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  const definition = definitionOf(schema);
  const {
    type,
    shape = {},
    entries = {},
    values = [],
    options = [],
    element,
    innerType,
    valueType,
    checks = [],
  } = definition;
  const inner = innerType ?? element ?? valueType ?? definition.in;
  const maxLength = Math.min(boundOf(checks, "max_length") ?? 3, 3);
  switch (type) {
    case "string":
      return textOf(definition);
    case "number":
      return numberOf(definition);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "literal":
      return fc.constantFrom(...values);
    case "enum":
      return fc.constantFrom(...Object.values(entries));
    case "array":
      return fc.array(valueOf(inner!), { minLength: boundOf(checks, "min_length") ?? 0, maxLength });
    case "record":
      return fc.dictionary(
        fc.string({ minLength: 1, maxLength: 8 }).filter((key) => key !== "__proto__"),
        valueOf(inner!),
        { maxKeys: 3, noNullPrototype: true },
      );
    case "object":
      return objectOf(shape);
    case "union":
      return fc.oneof(...options.map(valueOf));
    case "nullable":
      return fc.option(valueOf(inner!), { nil: null });
    case "optional":
    case "default":
    case "prefault":
    case "pipe":
      return valueOf(inner!);
    case "custom":
      return fc.constantFrom(...Object.keys(errorCodes));
    case "unknown":
      return fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
    default:
      throw new TypeError(`no values for a schema of type ${type}`);
  }
}

/** As it arrives by JSON. */
export const throughJson = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

export const oddValue = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e300, 2 ** 53, "", "x", "local", [], {}, [[]], { __proto__: null }),
  fc.constantFrom("x".repeat(300), "\u0000", "\ud800", "../..", "__proto__", "1", "r1"),
  fc.jsonValue({ maxDepth: 2 }),
);

/** One harm to one place in a JSON value. */
export interface Harm {
  path: number[];
  kind: "replace" | "remove" | "add";
  value: unknown;
}
export const harm: fc.Arbitrary<Harm> = fc.record({
  path: fc.array(fc.nat(40), { maxLength: 4 }),
  kind: fc.constantFrom<Harm["kind"]>("replace", "replace", "remove", "add"),
  value: oddValue,
});
export const unknownKey = "heardOfNowhere";

/** A copy with the harm, and the keys on the way to it. */
export function harmed(value: unknown, { path, kind, value: put }: Harm): { value: unknown; keys: string[] } {
  const keys: string[] = [];
  const copy = [structuredClone(value)];
  let [holder, key]: [Record<string, unknown>, string] = [copy as unknown as Record<string, unknown>, "0"];
  for (const step of path) {
    const next = holder[key];
    const names = typeof next === "object" && next !== null ? Object.keys(next) : [];
    if (names.length === 0) break;
    [holder, key] = [next as Record<string, unknown>, names[step % names.length]!];
    keys.push(key);
  }
  const place = holder[key];
  if (kind === "add" && typeof place === "object" && place !== null && !Array.isArray(place))
    (place as Record<string, unknown>)[unknownKey] = put;
  else if (kind === "remove" && keys.length > 0) delete holder[key];
  else holder[key] = put;
  return { value: copy[0], keys };
}
