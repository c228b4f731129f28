/** Small parts of the keeper, each with its promise, on a clock moved by hand. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { GrowthWatch } from "../../src/keeper/background/growth.ts";
import { CrashRecords, readStderr, StreamTail } from "../../src/keeper/crashes.ts";
import { RepeatedEnd } from "../../src/keeper/repeated-end.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const turns = () => new Promise(setImmediate);

class Place implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-parts-"));

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

describe("what could not be ended", () => {
  function begin(left: () => string[]) {
    const clock = new ManualClock();
    const told: string[] = [];
    let attempts = 0;
    const again = new RepeatedEnd<string>({
      clock,
      attempt: async () => (attempts++, left()),
      onLeft: (those) => void told.push(`left ${those.join()}`),
      onGone: () => void told.push("gone"),
    });
    return { clock, told, again, attempts: () => attempts };
  }

  it("is tried again after 1, 2, 4 … and at most 30 seconds, until it is gone, which is told once", async () => {
    let live = ["a", "b"];
    const { clock, told, attempts } = begin(() => live);
    for (const [index, seconds] of [1, 2, 4, 8, 16, 30, 30].entries()) {
      clock.advance(seconds * 1000 - 1);
      assert.equal(attempts(), index);
      clock.advance(1);
      await turns();
      assert.equal(attempts(), index + 1);
    }
    live = ["b"];
    clock.advance(30_000);
    await turns();
    live = [];
    clock.advance(30_000);
    await turns();
    assert.deepEqual(told.slice(-3), ["left a,b", "left b", "gone"]);
    clock.advance(100_000);
    assert.deepEqual([attempts(), clock.pending, told.length], [9, 0, 9]);
  });

  it("is tried at once when somebody asks, one attempt for all who do, and no more when nobody owns it", async () => {
    let live = ["a"];
    const { clock, told, again, attempts } = begin(() => live);
    await Promise.all([again.ask(), again.ask()]);
    assert.deepEqual([attempts(), told, clock.pending], [1, ["left a"], 1]);
    await again.ask();
    assert.deepEqual([attempts(), clock.pending], [2, 1]);
    const last = again.ask();
    again[Symbol.dispose]();
    live = [];
    await last;
    await again.ask();
    clock.advance(100_000);
    assert.deepEqual([told, attempts(), clock.pending], [["left a", "left a"], 3, 0]);
  });
});

describe("a tree that grows", () => {
  function begin() {
    const clock = new ManualClock();
    const counts = new Map<string, number>();
    const told: string[] = [];
    const members = (id: string) => Array.from({ length: counts.get(id) ?? 0 }, (_, pid) => ({ pid })) as never[];
    const watch = new GrowthWatch({
      clock,
      processes: { command: (pid: number) => (pid === 0 ? "main" : "helper") } as never,
      runs: () => [...counts.keys()].map((id) => ({ id, members: () => members(id) })),
      onGrowing: (id, what) => void told.push(`${id}: ${what}`),
    });
    const look = async (count: number, id = "r") => {
      counts.set(id, count);
      clock.advance(5000);
      await turns();
    };
    return { clock, counts, told, watch, look };
  }

  it("is told of at its third growth, when it has eight processes, and again when it has doubled", async () => {
    const { told, look } = begin();
    for (const count of [5, 6, 7]) await look(count);
    await look(7);
    assert.deepEqual(told, []);
    await look(8);
    assert.deepEqual(told, ["r: 8 processes, 7 of them helper"]);
    for (const count of [9, 12, 15]) await look(count);
    assert.equal(told.length, 1);
    await look(16);
    assert.deepEqual(told[1], "r: 16 processes, 15 of them helper");
  });

  it("is not one that is large from its beginning, or that shrinks to less than half in between", async () => {
    const { told, look } = begin();
    for (const count of [20, 20, 21, 20, 22, 21]) await look(count);
    await look(10);
    for (const count of [11, 12]) await look(count);
    assert.deepEqual(told, []);
    await look(13);
    assert.equal(told.length, 1);
  });

  it("is forgotten with its run, and looked at no more when the watch is over", async () => {
    const { told, look, counts, watch, clock } = begin();
    for (const count of [7, 8, 9]) await look(count);
    counts.delete("r");
    await look(1, "other");
    for (const count of [10, 11, 12]) await look(count);
    assert.deepEqual(told, [], "its history was another run's");
    watch[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });

  it("that has one process of each kind is told of without a name", async () => {
    const { told, look, counts } = begin();
    for (const count of [2, 3, 4]) await look(count);
    for (let number = 0; number < 120; number += 1) counts.set(`s${number}`, 1);
    await look(8);
    assert.deepEqual(told, ["r: 8 processes, 7 of them helper"], "among 120 others");
  });
});

describe("the record of a crash", () => {
  const crash = { who: "front", pid: 7, why: "died" } as const;

  it("has the last 64 KiB that were printed, whatever the pieces", () => {
    const text = Array.from({ length: 30_000 }, (_, number) => `${number} `).join("");
    for (const size of [1000, 65_536, 70_000, 200_000]) {
      const tail = new StreamTail();
      for (let at = 0; at < text.length; at += size) tail.push(Buffer.from(text.slice(at, at + size)));
      assert.equal(tail.text(), text.slice(-65_536), `in pieces of ${size}`);
    }
    const short = new StreamTail();
    assert.equal(short.text(), "");
    short.push(Buffer.from("a"));
    short.push(Buffer.from("bc"));
    assert.equal(short.text(), "abc");
  });

  it("is there for the next keeper, with how long nothing served, and is one of fifty", () => {
    using place = new Place();
    const clock = new ManualClock();
    const records = new CrashRecords(place.directory, 3, clock);
    const first = records.record(crash, "its words");
    assert.deepEqual([first.at, first.epoch, first.downMs, first.exitCode], [clock.now(), 3, null, null]);
    records.recovered(first, 250);
    assert.equal(readStderr(first.file), "its words");
    const next = new CrashRecords(place.directory, 4, clock);
    assert.deepEqual(next.list(10), [{ ...first, downMs: 250 }]);
    for (let number = 1; number <= 50; number += 1) {
      clock.advance(1000);
      next.record({ ...crash, pid: number }, "");
    }
    assert.equal(readdirSync(place.directory).length, 50);
    assert.deepEqual(next.list(2).map(({ pid }) => pid), [50, 49]);
    assert.deepEqual([next.list(100).length, readStderr(first.file)], [50, undefined]);
    next.recovered(first, 1);
    assert.equal(readdirSync(place.directory).length, 50, "a record that was removed does not come back");
    const [newest] = next.list(1);
    writeFileSync(newest!.file, "{ cut");
    writeFileSync(join(place.directory, "notes.txt"), "not a record");
    const last = new CrashRecords(place.directory, 5, clock).list(100);
    assert.deepEqual([last.length, last[0]?.pid, last.at(-1)?.pid], [49, 49, 1]);
    assert.equal(readFileSync(newest!.file, "utf8"), "{ cut");
  }); // prettier-ignore
});
