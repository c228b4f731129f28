/** Lists of servers, merged: whatever a server lists, the result is what clients accept, and no other server's part suffers. */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe } from "node:test";
import {
  ListPromptsResultSchema,
  ListResourcesResultSchema,
  ListResourceTemplatesResultSchema,
  ListToolsResultSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import * as fc from "fast-check";
import { fits } from "../../src/mcp/session/entries.ts";
import { merge, type Part } from "../../src/mcp/session/merge.ts";
import { NameBook, splitName } from "../../src/mcp/session/names.ts";
import { repairSchema } from "../../src/mcp/session/schemas.ts";
import { isObject } from "../../src/mcp/wire/json-rpc.ts";
import { assertLinear, property } from "./helpers/property.ts";
import { harm, harmed, oddValue, throughJson } from "./helpers/shapes.ts";

const keyword = fc.constantFrom(
  ..."type required enum pattern $ref minLength multipleOf title default items allOf not properties $defs additionalProperties uniqueItems const format prefixItems $id x-mcp-header".split(
    " ",
  ),
);
const sound: Record<string, fc.Arbitrary<unknown>> = {
  type: fc.constantFrom<unknown>("string", "object", ["integer", "null"]),
  required: fc.constant(["a"]),
  enum: fc.constant(["a", 1]),
  pattern: fc.constantFrom("^a+$", "[", "\\p{L}", "(?<a>x)\\k<a>", "\\d{3"),
  $ref: fc.constantFrom("#", "#/properties/a", "#/$defs/a~1b", "#/$defs/%61", "#/none", "#/%", "other.json", "#anchor"),
  multipleOf: fc.constantFrom(1, 0, -1, 0.5),
  minLength: fc.constantFrom(0, 3, -1, 1.5),
  format: fc.constantFrom("uri", "email"),
};
const schema = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    { weight: 1, arbitrary: fc.oneof(fc.boolean(), oddValue) },
    {
      weight: 5,
      arbitrary: fc
        .array(
          keyword.chain((key) => {
            const under: Record<string, fc.Arbitrary<unknown>> = {
              items: fc.oneof(tie("schema"), fc.array(tie("schema"), { maxLength: 2 })),
              allOf: fc.array(tie("schema"), { maxLength: 2 }),
              prefixItems: fc.array(tie("schema"), { maxLength: 2 }),
              not: tie("schema"),
              additionalProperties: tie("schema"),
              properties: fc.dictionary(fc.constantFrom("a", "b", "__proto__", "$ref"), tie("schema"), { maxKeys: 2 }),
              $defs: fc.dictionary(fc.constantFrom("a", "a/b"), tie("schema"), { maxKeys: 2 }),
            };
            return fc.tuple(
              fc.constant(key),
              fc.oneof({ weight: 5, arbitrary: under[key] ?? sound[key] ?? oddValue }, oddValue),
            );
          }),
          { maxLength: 4 },
        )
        .map((members) => Object.fromEntries(members)),
    },
  ),
})).schema;
const objectSchema = schema.map((value) => ({ ...(value as object), type: "object" }));

const servers = ["a", "a__b", "files"];
const markOf = (server: string, name: string) => hash("sha256", `${server}\0${name}`, "hex").slice(0, 6);
const plainName = fc.constantFrom("x", "b__x", "echo", "a b", "é", "", "x".repeat(70), "q.r", "__", "__proto__");
/** Also a name that another one becomes, when it is made fit. */
const itemName = fc.oneof(
  plainName,
  fc
    .tuple(plainName, fc.constantFrom(...servers))
    .map(([name, server]) => `${name.replaceAll(/[^A-Za-z0-9_-]/g, "_")}_${markOf(server, name)}`),
  fc.string(),
);
const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("", "\ud83d", "a\u0000"));
const item = fc.record(
  {
    name: itemName,
    uri: fc.constantFrom("file:///a", "file:///b", "x:", ""),
    uriTemplate: fc.constantFrom("file:///{path}", "x:{a}/{b}", "{", "}"),
    description: text,
    title: text,
    inputSchema: objectSchema,
    outputSchema: objectSchema,
    annotations: fc.constantFrom<object>(
      {},
      { readOnlyHint: true },
      { title: 1 },
      { priority: 2 },
      { audience: ["user"], lastModified: "2026-02-28T10:00:00Z" },
      { lastModified: "2026-02-30T10:00Z" },
      { lastModified: "soon" },
    ),
    execution: fc.constantFrom<object>({}, { taskSupport: "optional" }, { taskSupport: "never" }),
    size: fc.constantFrom<unknown>(1, "1"),
    arguments: fc.constantFrom<object[]>([], [{ name: "a", required: true }], [{ name: "a", description: null }], [{}]),
    _meta: fc.constantFrom({}, { x: 1 }),
    mimeType: fc.constantFrom("text/plain", ""),
    icons: fc.constantFrom<object[]>(
      [],
      [{ src: "https://x/y.png", sizes: ["any"] }],
      [{ src: 1 }],
      [{ src: "x", theme: "pink" }],
    ),
  },
  { requiredKeys: ["name", "uri", "uriTemplate", "inputSchema"] },
);
const listed = fc.oneof(
  { weight: 8, arbitrary: item },
  fc.tuple(item, harm).map(([value, each]) => harmed(value, each).value),
  oddValue,
);
/** What is no object is dropped where lists are fetched. */
const items = fc.array(listed.filter(isObject), { maxLength: 4 });

let nextId = 1;
const part = (server: string) =>
  fc
    .record({
      tools: items,
      prompts: items,
      resources: items,
      resourceTemplates: items,
      instructions: fc.option(fc.oneof(text, fc.constant("😀".repeat(9000)), fc.constant("x".repeat(20_000))), {
        nil: undefined,
      }),
      capabilities: fc.dictionary(fc.constantFrom("prompts", "resources", "logging", "completions"), oddValue),
    })
    .map(({ instructions, capabilities, ...lists }) => ({
      server,
      metadata: {
        id: nextId++,
        initialize: {
          protocolVersion: "2025-11-25",
          capabilities,
          serverInfo: {},
          ...(instructions === undefined ? {} : { instructions }),
        },
        lists: throughJson(lists),
        learnedAt: 0,
      },
    })) as unknown as fc.Arbitrary<Part>;
const parts = fc.tuple(...servers.map(part));

const resultSchemas = {
  tools: ListToolsResultSchema,
  prompts: ListPromptsResultSchema,
  resources: ListResourcesResultSchema,
  resourceTemplates: ListResourceTemplatesResultSchema,
};

describe("the lists of several servers as one", () => {
  property("are what the SDK's client accepts, without a name twice", 100, parts, (given) => {
    const merged = merge(given, true);
    for (const [list, shape] of Object.entries(resultSchemas)) {
      const written = merged.lists[list as keyof typeof resultSchemas].toString();
      const parsed = shape.safeParse(JSON.parse(written));
      assert.ok(parsed.success, `${list}: ${parsed.error?.message}`);
      assert.ok(isWellFormed(JSON.parse(written)), `${list}: half a character`);
      const named = (JSON.parse(written) as Record<string, Record<string, string>[]>)[list]!;
      const keys = named.map((each) => each[list === "resources" ? "uri" : "name"]!);
      if (list === "resourceTemplates") continue;
      assert.equal(new Set(keys).size, keys.length, `${list}: a name twice in ${keys.join(" ")}`);
      if (list === "resources") continue;
      for (const key of keys) assert.match(key, /^[A-Za-z0-9_-]{1,64}$/);
      const book = list === "tools" ? merged.tools : merged.prompts;
      for (const key of keys) assert.ok(servers.includes(book.resolve(key)!.server), key);
    }
    assert.ok((merged.instructions ?? "").length <= 16 * 1024 + 200);
    assert.ok((merged.instructions ?? "").isWellFormed());
  });
  property(
    "keep what each server has that is sound",
    30,
    fc.tuple(parts, fc.constantFrom(...servers)),
    ([given, one]) => {
      const own = given.filter(({ server }) => server === one);
      const names = (some: Part[]) => {
        const { tools, lists } = merge(some, true);
        const { tools: written } = JSON.parse(lists.tools.toString()) as { tools: { name: string }[] };
        return written
          .map(({ name }) => tools.resolve(name)!)
          .filter(({ server }) => server === one)
          .map(({ name }) => name);
      };
      assert.deepEqual(names(given), names(own));
    },
  );
  property("of one server alone never fail", 200, part("files"), (given) => {
    for (const list of Object.values(merge([given], false).lists)) assert.ok(list.length > 0);
  });
});

/** Half a character cannot be read by clients that read strictly. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([key, each]) => key.isWellFormed() && isWellFormed(each));
}

describe("a tool's schema", () => {
  const ajv = new AjvJsonSchemaValidator();
  property(
    "is repaired so that the SDK's validator compiles it, and is kept when it does",
    300,
    objectSchema,
    (given) => {
      const asHeard = throughJson(given);
      const repaired = repairSchema(asHeard, "inputSchema");
      if (repaired === undefined) return;
      const { properties } = asHeard as { properties?: object };
      const isPlain = !Object.values(properties ?? {}).some((each) => typeof each === "boolean");
      if (repaired.places.length === 0 && isPlain) assert.equal(repaired.schema, asHeard);
      const again = repairSchema(repaired.schema, "inputSchema");
      assert.equal(again?.schema, repaired.schema, "repaired twice");
      const { $id: _, ...rest } = repaired.schema as Record<string, unknown>;
      // What refers elsewhere, and formats, are the validator's own matter.
      if (
        /"format"|"(?:\$id|\$ref)":"(?!#)/.test(JSON.stringify(rest)) ||
        JSON.stringify(rest).includes('"$ref":"#anchor"')
      )
        return;
      ajv.getValidator(rest);
    },
  );
});

describe("names of tools", () => {
  const named = fc.record({ server: fc.constantFrom(...servers), name: itemName }, { noNullPrototype: true });
  property("are one for each tool, stable, and lead back to it", 400, fc.array(named, { maxLength: 8 }), (all) => {
    const book = new NameBook();
    const exposed = new Map(all.map((each) => [`${each.server}\0${each.name}`, book.expose(each)]));
    assert.equal(new Set(exposed.values()).size, exposed.size, [...exposed.values()].join(" "));
    for (const each of all) {
      assert.equal(book.expose(each), exposed.get(`${each.server}\0${each.name}`));
      assert.deepEqual(book.resolve(book.expose(each)), each);
      assert.match(book.expose(each), /^[A-Za-z0-9_-]{1,64}$/);
    }
  });
  property(
    "by their form lead to a server that there is",
    200,
    fc.oneof(
      fc.string(),
      fc.tuple(fc.constantFrom(...servers, "no"), fc.string()).map((words) => words.join("__")),
    ),
    (exposed) => {
      const found = splitName(exposed, servers);
      if (found !== undefined) assert.equal(`${found.server}__${found.name}`, exposed);
    },
  );
});

describe("a resource template", () => {
  const piece = fc.constantFrom("a", "b", "ab", "/", "{x}", "{", "}", "file://");
  const texts = fc
    .oneof(fc.array(piece, { maxLength: 8 }), fc.array(fc.constantFrom("a", "b", "{x}"), { maxLength: 4 }))
    .map((pieces) => pieces.join(""));
  property("fits what a pattern with anything in its places fits", 800, fc.tuple(texts, texts), ([template, uri]) => {
    const pattern = template
      .split(/\{[^}]*\}/)
      .map((each) => each.replaceAll(/[{}/]/g, String.raw`\$&`))
      .join("[^]*");
    assert.equal(fits(template, uri), new RegExp(`^${pattern}$`, "u").test(uri));
  });
  property("is compared in time in proportion to its length", 15, fc.tuple(texts, texts), ([template, uri]) => {
    assertLinear((size) => void fits(template.repeat(size / 50), uri.repeat(size)), 4000, template);
  });
});
