/** Variables as Windows has them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  environmentBlock,
  foldName,
  mergeVariables,
  variableOf,
} from "../../../src/platform/windows-rules/environment.ts";
import { property } from "../../fuzz/helpers/property.ts";

function entriesOf(block: Buffer): string[] {
  const text = block.toString("utf16le");
  assert.ok(text.endsWith("\0\0"), "two NULs at the end");
  return text.slice(0, -2).split("\0").filter(Boolean);
}

describe("names of variables", () => {
  it("are found in any case, and the last spelling counts", () => {
    assert.equal(variableOf({ Path: "a", PATH: "b" }, "path"), "b");
    assert.equal(variableOf({ PATH: "a", Path: undefined }, "path"), "a");
    assert.equal(variableOf({}, "path"), undefined);
  });

  it("are compared unit by unit, as the system does: ß has no single capital", () => {
    assert.notEqual(foldName("ß"), foldName("ss"));
    assert.equal(foldName("ä"), foldName("Ä"));
  });

  it("are one variable in a merge: the later layer counts, with its spelling", () => {
    assert.deepEqual(mergeVariables({ Path: "a", x: "1" }, { PATH: "b", y: undefined }), { PATH: "b", x: "1" });
  });
});

describe("a block", () => {
  it("is sorted by name without regard to case, and ends with two NULs", () => {
    const block = environmentBlock({ b: "2", A: "1", _: "4", C: "3", "=C:": "C:\\x" }, {});
    assert.deepEqual(entriesOf(block), ["=C:=C:\\x", "A=1", "b=2", "C=3", "_=4"]);
  });

  it("passes SystemRoot on where it is missing, and leaves another one alone", () => {
    const own = { SYSTEMROOT: "C:\\Windows", SECRET: "x" };
    assert.deepEqual(entriesOf(environmentBlock({ a: "1" }, own)), ["a=1", "SystemRoot=C:\\Windows"]);
    assert.deepEqual(entriesOf(environmentBlock({ systemroot: "D:\\W" }, own)), ["systemroot=D:\\W"]);
  });

  it("takes whole entries too, with `=` in their values, and leaves out what it cannot hold", () => {
    const entries = ["A=b=c", "=D:=D:\\y", "no name", "E=1\0F=2"].map((text) => Buffer.from(text));
    assert.deepEqual(entriesOf(environmentBlock(entries, {})), ["=D:=D:\\y", "A=b=c"]);
  });

  it("without variables still ends with two NULs", () => {
    assert.deepEqual(environmentBlock({}, {}), Buffer.alloc(4));
  });

  const variables = fc.dictionary(
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.string({ unit: "binary", maxLength: 4 }),
  );
  property("holds each variable once, in order, and nothing else", 1000, variables, (given) => {
    const names = entriesOf(environmentBlock(given, {})).map((entry) => entry.slice(0, entry.indexOf("=", 1)));
    const folded = names.map(foldName);
    assert.deepEqual(
      folded,
      [...new Set(folded)].toSorted((a, b) => (a < b ? -1 : 1)),
    );
    for (const name of names) assert.ok(Object.hasOwn(given, name), name);
  });
});
