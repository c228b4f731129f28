/** A run's output whose file a crash or another process cut short: readers get what is left, and come to an end. */
import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { OutputRing } from "../../src/keeper/background/output-ring.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { Place } from "./helpers/books.ts";

describe("the output of a run, cut at any byte", () => {
  leavesNothing();

  for (const [what, printed] of [
    ["within its bound", 700],
    ["beyond its bound", 2500],
  ] as const) {
    it(`${what}: each byte that is left is read at its offset, and reading comes to the end`, () => {
      using place = new Place();
      const path = join(place.make("runs"), "out");
      const text = Buffer.from(Array.from({ length: printed }, (_, at) => (at * 7 + (at >> 8)) & 255));
      const ring = OutputRing.create(path, 1000, systemClock);
      for (let at = 0; at < printed; at += 100) ring.write(text.subarray(at, at + 100));
      ring.close();
      const bytes = readFileSync(path);
      for (let length = bytes.length; length >= 0; length -= 1) {
        truncateSync(path, length);
        const cut = OutputRing.open(path);
        if (cut === undefined) {
          assert.ok(length < 40, "only without its header it is nobody's");
          continue;
        }
        let offset = 0;
        let read = 0;
        // As a reader does: on from what it was given, until the end.
        for (let reads = 0; offset < cut.printed; reads += 1) {
          assert.ok(reads < 20, `stands still at ${offset}, ${length} bytes left`);
          const piece = cut.read(offset, 300);
          assert.deepEqual(piece.bytes, text.subarray(piece.offset, piece.offset + piece.bytes.length));
          offset = piece.offset + piece.bytes.length;
          read += piece.bytes.length;
        }
        cut.close();
        assert.equal(read, length - 40, "nothing that is left is passed over");
      }
    });
  }

  it("with impossible figures in its header is read as no output", () => {
    using place = new Place();
    const path = join(place.make("runs"), "out");
    const ring = OutputRing.create(path, 1000, systemClock);
    ring.write(Buffer.alloc(100, 1));
    ring.close();
    const bytes = readFileSync(path);
    for (const figure of [-1, Number.NaN, Number.POSITIVE_INFINITY, 0.5, 2 ** 60]) {
      for (const at of [16, 24, 32]) {
        const damaged = Buffer.from(bytes);
        damaged.writeDoubleLE(figure, at);
        writeFileSync(path, damaged);
        assert.equal(OutputRing.open(path), undefined, `${figure} at ${at}`);
      }
    }
    const noTail = Buffer.from(bytes);
    noTail.writeUInt32LE(0, 8);
    writeFileSync(path, noTail);
    assert.equal(OutputRing.open(path), undefined);
  });
});
