/** Bytes in pieces: whole afterwards, and no dearer for being many. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GatheredBytes } from "../src/gathered-bytes.ts";
import { growthOf, linearMax } from "./helpers/growth.ts";

describe("bytes that come in pieces", () => {
  it("are the same bytes in one, and nothing of them is left", () => {
    const gathered = new GatheredBytes();
    for (const piece of ["", "a", "", "bc", "d".repeat(2000), "e"]) gathered.add(Buffer.from(piece));
    assert.equal(gathered.length, 2004);
    assert.equal(gathered.take().toString(), `abc${"d".repeat(2000)}e`);
    assert.equal(gathered.length, 0);
    assert.equal(gathered.take().length, 0);
    gathered.add(Buffer.from("next"));
    assert.equal(gathered.take().toString(), "next");
  });

  it("are kept as they came when they are one piece", () => {
    const piece = Buffer.from("whole");
    const gathered = new GatheredBytes();
    gathered.add(piece);
    assert.equal(gathered.take(), piece);
  });

  it("cost as much as they are long, however small the pieces are", () => {
    const piece = Buffer.from("x");
    const work = (pieces: number) => {
      const gathered = new GatheredBytes();
      for (let at = 0; at < pieces; at++) gathered.add(piece);
      assert.equal(gathered.take().length, pieces);
    };
    const growth = growthOf(work, 500_000);
    assert.ok(growth < linearMax, `four times as many pieces cost ${growth.toFixed(1)} times as much`);
  });
});
