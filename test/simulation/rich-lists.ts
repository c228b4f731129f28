/** What a server of the model lists, and what of it no client could read. */

export const schema = { type: "object" };

/** Entries that clients could not read, beside those they can. */
export const odd = [
  { name: 7, inputSchema: schema },
  { name: "no-schema" },
  { name: "array", inputSchema: { type: "array" } },
  { name: "titled", title: 3, inputSchema: schema },
];
export const schemas: Record<string, object> = {
  odd: {
    type: "object",
    properties: { a: true, b: { type: "strange" }, c: { type: ["string", "string"] }, d: { enum: [] }, e: false },
    required: ["a", "a"],
    additionalProperties: "no",
    items: [{ minLength: -1 }],
    $defs: { x: { pattern: "(" }, y: { $ref: "#/$defs/x" }, z: { $ref: "#/$defs/none" } },
    oneOf: [],
    "x-own": 1,
  },
};

/** With nothing to mend. */
export const sound = {
  type: "object",
  properties: { a: { type: ["string", "null"], minLength: 0, pattern: "^a" }, b: { enum: [1], multipleOf: 0.5 } },
  required: ["a"],
  additionalProperties: false,
  dependentRequired: { a: ["b"] },
  items: [{ minItems: 0 }, true],
  allOf: [{}, false],
  not: { $ref: "#/$defs/x~1y" },
  $defs: { "x/y": { uniqueItems: true, title: "", minimum: -1, examples: [] } },
  patternProperties: { "^x": {} },
};

/** That not every model takes as they are. */
export const oddNames = ["with space", "ünï", "dots.and/more", "l".repeat(80)];

/** One oddity each, in the schema of a tool. */
export const oddParts: readonly object[] = [
  { properties: { a: [1] } },
  { anyOf: {} },
  { allOf: [] },
  { additionalProperties: 3 },
  { properties: 3 },
  { minimum: "1" },
  { maxItems: -1 },
  { minProperties: 1.5 },
  { title: 3 },
  { uniqueItems: 1 },
  { multipleOf: 0 },
  { examples: 1 },
  { dependentRequired: { a: "b" } },
  { $ref: "#/none" },
  { $ref: "#/%zz" },
  { required: [1] },
  { items: "x" },
  { patternProperties: { a: 1 } },
  { pattern: 3 },
  { pattern: "x".repeat(3000) },
];
