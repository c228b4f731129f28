/** What a run printed can be read by offset: no byte lost, doubled or moved, whatever the pieces were, also after the end. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { OutputRing } from "../../src/keeper/background/output-ring.ts";
import { SmallDisk } from "../helpers/small-disk.ts";
import { needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

class Place implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-ring-"));
  readonly file = join(this.directory, "out");

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Bytes of which each eight say where they are, so that one from elsewhere is seen. */
function numbered(from: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, index) => ((from + index) * 2_654_435_761) >>> 24));
}

/** A small generator, so that a failure can be played again. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % sides;
  };
}

describe("the output of a run", () => {
  leavesNothing();

  it("gives back what was written, wherever a read begins, in pieces of any size", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      using place = new Place();
      const roll = dice(seed);
      const bound = 64 + roll(500);
      const ring = OutputRing.create(place.file, bound, systemClock);
      let printed = 0;
      for (let round = 0; round < 60; round += 1) {
        const chunk = numbered(printed, 1 + roll(bound));
        ring.write(chunk);
        printed += chunk.length;
        const asked = roll(printed + 10);
        const piece = ring.read(asked, 1 + roll(bound * 2));
        assert.equal(piece.printed, printed);
        assert.ok(
          piece.offset >= Math.min(asked, printed),
          `seed ${seed}: asked at ${asked}, given from ${piece.offset}`,
        );
        assert.deepEqual(piece.bytes, numbered(piece.offset, piece.bytes.length), `seed ${seed}, round ${round}`);
        const isKept = asked < ring.headBytes || asked >= printed - ring.tailBytes;
        if (isKept && asked < printed) assert.equal(piece.offset, asked, `seed ${seed}: what is kept is given`);
      }
      ring.close();
      assert.ok(statSync(place.file).size <= bound + 40, "it is bounded on disk");
      const again = OutputRing.open(place.file);
      assert.deepEqual(again?.read(0, ring.headBytes).bytes, numbered(0, Math.min(printed, ring.headBytes)));
      const tail = again?.read(printed - ring.tailBytes, ring.tailBytes);
      assert.deepEqual(tail?.bytes, numbered(printed - ring.tailBytes, ring.tailBytes));
      again?.close();
    }
  });

  it("says nothing of a run that printed nothing, and does not take another file for one", () => {
    using place = new Place();
    const silent = OutputRing.create(place.file, 100, systemClock);
    assert.deepEqual(silent.read(0, 10).bytes, Buffer.alloc(0));
    silent.close();
    assert.equal(OutputRing.open(place.file), undefined);
    writeFileSync(place.file, "a file of somebody else's, and longer than a header");
    assert.equal(OutputRing.open(place.file), undefined);
    const blocked = OutputRing.create(place.file, 100, systemClock);
    blocked.write(Buffer.from("x"));
    assert.deepEqual(blocked.read(0, 10), { offset: 1, bytes: Buffer.alloc(0), printed: 1 }, "lost, and told so");
    assert.match(readFileSync(place.file, "utf8"), /^a file of somebody else's/);
  });

  it(
    "loses what a full disk does not take, says so to its readers, and keeps the rest, also after the end",
    { skip: needsNamespace("mount") },
    () => {
      using place = new Place();
      using disk = new SmallDisk(place.directory, 64);
      const ring = OutputRing.create(join(disk.directory, "out"), 1024 * 1024, systemClock);
      const whole = numbered(0, 100_000);
      for (let at = 0; at < whole.length; at += 10_000) ring.write(whole.subarray(at, at + 10_000));
      const first = ring.read(0, whole.length);
      const kept = first.bytes.length;
      assert.ok(kept > 50_000 && kept < 65_536, `${kept} bytes are kept`);
      assert.ok(first.bytes.equals(whole.subarray(0, kept)));
      assert.deepEqual(ring.read(kept, 10), { offset: 100_000, bytes: Buffer.alloc(0), printed: 100_000 });
      disk.grow(256);
      const later = numbered(100_000, 50_000);
      ring.write(later);
      ring.close();
      const again = OutputRing.open(join(disk.directory, "out"));
      assert.ok(again?.read(0, 150_000).bytes.equals(whole.subarray(0, kept)));
      assert.equal(again!.read(kept, 150_000).offset, 100_000);
      assert.ok(again!.read(kept, 150_000).bytes.equals(later));
      again!.close();
    },
  );
});
