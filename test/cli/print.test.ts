/** Tables and labels line up on a terminal whatever their cells are written in. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { align, labelled, table } from "../../src/cli/print.ts";

describe("a table for people", () => {
  it("lines up by the columns that a terminal uses, not by characters", () => {
    assert.deepEqual(
      table([
        ["NAME", "STATE", "SEEN"],
        ["データ", "idle", "now"],
        ["e\u0301te\u0301", "in use", ""],
        ["👩‍💻 x", "", "1 s ago"],
      ]),
      ["NAME    STATE   SEEN", "データ  idle    now", "e\u0301te\u0301     in use", "👩‍💻 x            1 s ago"],
    );
  });

  it("counts what is printed in place of characters that would steer the terminal", () => {
    assert.deepEqual(
      table([
        ["a\u001b[2Jb", "x"],
        ["12345678", "y"],
      ]),
      ["a?[2Jb    x", "12345678  y"],
    );
  });

  it("takes rows of unequal length, and none at all", () => {
    assert.deepEqual(align([["a"], ["bb", "c"]]), [["a "], ["bb", "c"]]);
    assert.deepEqual(table([]), []);
    assert.deepEqual(
      labelled([
        ["id", "1"],
        ["known since", "2"],
        ["", "3"],
      ]),
      ["  id           1", "  known since  2", "               3"],
    );
  });
});
