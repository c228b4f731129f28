/** Variables in config values mean what they mean to the MCP clients that people copy them from. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { expandVariables } from "../../src/config/expand.ts";

function expand(text: string, values: Record<string, string> = {}): string {
  return expandVariables(text, values, (variable) => {
    throw new Error(`missing ${variable}`);
  });
}

describe("variables in the config", () => {
  it("are replaced wherever they stand", () => {
    assert.equal(expand("a${A}b${B}${A}", { A: "1", B: "2" }), "a1b21");
  });

  it("may be empty", () => {
    assert.equal(expand("[${A}]", { A: "" }), "[]");
  });

  it("take their default when unset or empty", () => {
    assert.equal(expand("${A:-x y}"), "x y");
    assert.equal(expand("${A:-x}", { A: "" }), "x");
    assert.equal(expand("${A:-}"), "");
    assert.equal(expand("${A:-x}", { A: "1" }), "1");
  });

  it("are replaced once: a value is not looked through again", () => {
    assert.equal(expand("${A}", { A: "${B}", B: "no" }), "${B}");
  });

  it("leave everything else as it is", () => {
    assert.equal(expand("$A ${} ${1} $${ {A}"), "$A ${} ${1} $${ {A}");
  });

  it("that are missing are named", () => {
    assert.throws(() => expand("${A}"), /missing A/);
  });
});
