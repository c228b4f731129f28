/** Names and schemas of tools as a session shows them: what every client and every model takes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NameBook } from "../../src/mcp/session/names.ts";
import { repairSchema } from "../../src/mcp/session/schemas.ts";

describe("an exposed name", () => {
  it("is the server's and the tool's, the same each time, and leads back", () => {
    const book = new NameBook();
    const item = { server: "one", name: "tool" };
    assert.deepEqual([book.expose(item), book.expose({ ...item }), book.resolve("one__tool")], ["one__tool", "one__tool", item]);
    assert.deepEqual([book.clashes, book.resolve("one__other")], [[], undefined]);
  }); // prettier-ignore

  it("has at most 64 characters of what every model takes, and six of its own where it was cut", () => {
    const book = new NameBook();
    const exact = "x".repeat(64 - "one__".length);
    assert.equal(book.expose({ server: "one", name: exact }), `one__${exact}`);
    const long = book.expose({ server: "one", name: `${exact}y` });
    assert.match(long, /^one__x{52}_[0-9a-f]{6}$/);
    assert.equal(long.length, 64);
    assert.match(book.expose({ server: "one", name: "a.b é" }), /^one__a_b___[0-9a-f]{6}$/);
    assert.deepEqual(book.clashes, []);
    assert.equal(book.resolve(long)?.name, `${exact}y`);
  });

  it("of two that would be the same is told, and each keeps one", () => {
    const book = new NameBook();
    const [one, two] = [{ server: "a__b", name: "c" }, { server: "a", name: "b__c" }];
    const names = [book.expose(one), book.expose(two)];
    assert.equal(names[0], "a__b__c");
    assert.match(names[1]!, /^a__b__c_[0-9a-f]{6}$/);
    assert.deepEqual(names.map((name) => book.resolve(name)), [one, two]);
    assert.deepEqual(book.clashes, ["a__b__c: a__b (c) and a (b__c)"]);
    assert.deepEqual([book.expose(two), book.clashes.length], [names[1], 1]);
  }); // prettier-ignore
});

describe("a schema", () => {
  const kept = (schema: unknown) => assert.equal(repairSchema(schema, "s")?.schema, schema, JSON.stringify(schema));
  const leaves = (schema: object, left: object, places: string[]) =>
    assert.deepEqual(repairSchema(schema, "s"), { schema: left, places });

  it("that is as it should be is left as it is", () => {
    const text = "x".repeat(2000);
    kept({ type: "object", properties: { a: { type: ["string", "null"], pattern: text, minLength: 0 } }, required: [] });
    kept({ $defs: { "a/b": { type: "string" }, "c~d": true }, anyOf: [{ $ref: "#/$defs/a~1b" }, { $ref: "#/$defs/c~0d" }] });
    kept({ items: [{}, true], additionalProperties: false, multipleOf: 0.5, enum: [1], dependentRequired: { a: ["b"] } });
    kept({ $ref: "https://elsewhere/x", unknownWord: { any: "thing" } });
  }); // prettier-ignore

  it("loses what clients refuse, and says where, three times at most", () => {
    leaves({ type: "text" }, {}, ["s.type"]);
    leaves({ type: [] }, {}, ["s.type"]);
    leaves({ type: ["string", "string"] }, {}, ["s.type"]);
    leaves({ required: ["a", "a"] }, {}, ["s.required"]);
    leaves({ required: ["a", 1] }, {}, ["s.required"]);
    leaves({ enum: [] }, {}, ["s.enum"]);
    leaves({ pattern: "(" }, {}, ["s.pattern"]);
    leaves({ pattern: "x".repeat(2001) }, {}, ["s.pattern"]);
    leaves({ multipleOf: 0 }, {}, ["s.multipleOf"]);
    leaves({ minLength: -1 }, {}, ["s.minLength"]);
    leaves({ minLength: 1.5 }, {}, ["s.minLength"]);
    leaves({ anyOf: [] }, {}, ["s.anyOf"]);
    leaves({ properties: [] }, {}, ["s.properties"]);
    leaves({ not: "x" }, {}, ["s.not"]);
    leaves({ dependentRequired: { a: 1 } }, {}, ["s.dependentRequired"]);
    for (const $ref of ["#/$defs/b", "#/$defs/a/type/x", "#/title", "#/%", "#/$defs/a/type"])
      leaves({ $defs: { a: { type: "object" } }, title: "t", $ref }, { $defs: { a: { type: "object" } }, title: "t" }, ["s.$ref"]);
    const many = { title: 1, description: 2, format: 3, $comment: 4 };
    leaves(many, {}, ["s.title", "s.description", "s.format"]);
    leaves({ allOf: [{ type: 1 }, 5] }, { allOf: [{}, {}] }, ["s.allOf.0.type", "s.allOf.1"]);
  }); // prettier-ignore

  it("has objects for its arguments, and flags anywhere else", () => {
    leaves({ properties: { a: true, b: false } }, { properties: { a: {}, b: { not: {} } } }, []);
    kept({ properties: { a: { properties: { b: true } } } });
    kept({ $defs: { a: true } });
  });

  it("is refused as a whole when it is deeper than 128 or has more than 10,000 parts", () => {
    const deep = (depth: number): object => (depth === 0 ? {} : { not: deep(depth - 1) });
    kept(deep(128));
    assert.equal(repairSchema(deep(129), "s"), undefined);
    const wide = (count: number) => ({ anyOf: Array.from({ length: count }, () => ({})) });
    kept(wide(9999));
    assert.equal(repairSchema(wide(10_000), "s"), undefined);
  });
});
