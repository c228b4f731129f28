/** Nothing that a full disk refused is forgotten, done twice, or done before what came first. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OwedWrites } from "../src/owed-writes.ts";
import { ManualClock } from "./helpers/manual-clock.ts";

class Disk {
  isFull = false;
  readonly written: string[] = [];
  readonly refused: string[] = [];
  readonly clock = new ManualClock();
  readonly owed = new OwedWrites(this.clock, (thrown, key) => this.refused.push(`${key}: ${String(thrown)}`));

  put(key: string, text = key): void {
    this.owed.do(key, () => {
      if (this.isFull) throw new Error("full");
      this.written.push(text);
    });
  }
}

describe("a write", () => {
  it("is done at once while there is room, and leaves nothing to do", () => {
    const disk = new Disk();
    disk.put("a");
    assert.deepEqual([disk.written, disk.refused, disk.clock.pending], [["a"], [], 0]);
  });

  it("that was refused is done once there is room, before those that came after it, each with its last value", () => {
    const disk = new Disk();
    disk.isFull = true;
    disk.put("a", "a1");
    disk.put("b");
    disk.put("a", "a2");
    disk.clock.advance(5000);
    assert.deepEqual([disk.written, disk.refused], [[], ["a: Error: full"]]);
    disk.isFull = false;
    disk.clock.advance(1000);
    assert.deepEqual([disk.written, disk.clock.pending], [["a2", "b"], 0]);
    disk.isFull = true;
    disk.put("c");
    assert.equal(disk.refused.length, 2, "each shortage is told of");
  });

  it("that is dropped is not done", () => {
    const disk = new Disk();
    disk.isFull = true;
    disk.put("a");
    disk.put("b");
    assert.deepEqual([disk.owed.drop("a"), disk.owed.drop("a")], [true, false]);
    disk.isFull = false;
    disk.clock.advance(1000);
    assert.deepEqual(disk.written, ["b"]);
  });

  it("is tried a last time at the end, and leaves no timer whatever comes after", () => {
    for (const isFull of [false, true]) {
      const disk = new Disk();
      disk.isFull = true;
      disk.put("a");
      disk.isFull = isFull;
      disk.owed.close();
      disk.put("b");
      assert.deepEqual([disk.written, disk.clock.pending], [isFull ? [] : ["a", "b"], 0]);
    }
  });
});
