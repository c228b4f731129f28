/** A terminal's input and output, and the pace of who reads it: bounded, in order, and over when it is over. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Pace } from "../../src/keeper/background/pace.ts";
import { RunOutput } from "../../src/keeper/background/output.ts";
import { TerminalIo } from "../../src/keeper/background/terminal-io.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

class Place implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-parts-"));

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

describe("a terminal", () => {
  function begin(place: Place) {
    const clock = new ManualClock();
    const output = Object.assign(new EventEmitter(), { pause() {}, resume() {} });
    const state = { room: Infinity, typed: "", closed: 0, sizes: [] as object[] };
    const terminal = {
      output,
      end: {},
      write: (bytes: Buffer) => {
        const taken = bytes.subarray(0, state.room);
        state.typed += taken.toString();
        state.room -= taken.length;
        return taken.length;
      },
      resize: (size: object) => void state.sizes.push(size),
      release() {},
      close: () => (state.closed += 1),
    };
    const stdout = new RunOutput(join(place.directory, "out"), 1000, clock);
    const parts = { clock, stdout, stderr: null, hangUp() {} };
    const io = new TerminalIo(parts, { columns: 80, rows: 24 }, { openTerminal: () => terminal as never });
    return { clock, output, state, io, stdout };
  }

  it("is typed to in order, the rest of it as soon as its program reads", () => {
    using place = new Place();
    const { clock, state, io } = begin(place);
    state.room = 4;
    assert.equal(io.write(Buffer.from("abcdef"), null), 6);
    assert.equal(io.write(Buffer.from("gh"), null), 8);
    assert.deepEqual([state.typed, clock.pending], ["abcd", 1]);
    clock.advance(5);
    assert.deepEqual([state.typed, clock.pending], ["abcd", 1]);
    state.room = Infinity;
    clock.advance(5);
    assert.deepEqual([state.typed, clock.pending], ["abcdefgh", 0]);
    io.close();
  });

  it("takes a mebibyte that its program does not read, and again as much once it did", () => {
    using place = new Place();
    const { clock, state, io } = begin(place);
    const mebibyte = Buffer.alloc(1024 * 1024, "x");
    for (let round = 0; round < 3; round += 1) {
      state.room = 0;
      for (let at = 0; at < mebibyte.length; at += 65_536) io.write(mebibyte.subarray(at, at + 65_536), null);
      assert.throws(() => io.write(Buffer.from("y"), null), { code: "input_full" });
      state.room = Infinity;
      clock.advance(5);
    }
    assert.equal(state.typed.length, 3 * mebibyte.length);
    io.close();
  });

  it("drops what was not read when it is closed, by its program or by us, and takes no more", async () => {
    using place = new Place();
    for (const how of ["program", "us"]) {
      rmSync(join(place.directory, "out"), { force: true });
      const { clock, output, state, io } = begin(place);
      state.room = 0;
      io.write(Buffer.from("abc"), null);
      const drained = io.drained();
      output.emit("data", Buffer.from("bye"));
      if (how === "program") output.emit("close");
      else io.close();
      assert.throws(() => io.write(Buffer.from("y"), null), { code: "run_ended" }, how);
      assert.throws(() => io.resize({ columns: 1, rows: 1 }), { code: "run_ended" }, how);
      if (how === "us") clock.advance(1000);
      await drained;
      assert.equal(io.view().outputBytes, 3);
      io.close();
      assert.equal(clock.pending, 0, how);
    }
  });

  it("has the size that was set last, remembers a hundred with their places, and none that is too large", () => {
    using place = new Place();
    const { output, state, io } = begin(place);
    output.emit("data", Buffer.from("12345"));
    io.resize({ columns: 10, rows: 5 });
    assert.deepEqual(io.sizes, [{ offset: 0, columns: 80, rows: 24 }, { offset: 5, columns: 10, rows: 5 }]);
    for (const size of [{ columns: 1001, rows: 1 }, { columns: 1, rows: 1001 }])
      assert.throws(() => io.resize(size), { code: "invalid_params" });
    assert.deepEqual([io.size, state.sizes.length], [{ columns: 10, rows: 5 }, 1]);
    io.resize({ columns: 1000, rows: 1000 });
    for (let number = 1; number <= 98; number += 1) io.resize({ columns: number, rows: 1 });
    assert.deepEqual([io.sizes.length, io.sizes[0]?.columns], [100, 10]);
    io.close();
  }); // prettier-ignore

  it("is in use while somebody looks, and since they last did", async () => {
    using place = new Place();
    const { clock, output, io, stdout } = begin(place);
    const began = clock.monotonic();
    clock.advance(10);
    assert.equal(io.lastActivityAt, began);
    const looks = [io.nextOutput(stdout, 5000, true), io.nextOutput(stdout, 5000, true)];
    const unseen = io.nextOutput(stdout, 1000, false);
    assert.deepEqual([io.lastActivityAt, io.view().lastViewedAt], [Infinity, clock.now()]);
    clock.advance(5000);
    await Promise.all([...looks, unseen]);
    const seenAt = clock.now();
    clock.advance(100);
    assert.deepEqual([io.lastActivityAt, io.view().lastViewedAt], [clock.monotonic() - 100, seenAt]);
    const other = io.nextOutput(stdout, 10, false);
    clock.advance(10);
    await other;
    assert.equal(io.view().lastViewedAt, seenAt);
    output.emit("data", Buffer.from("x"));
    assert.deepEqual([io.lastActivityAt, io.view().lastOutputAt], [clock.monotonic(), clock.now()]);
    io.close();
  });
});

describe("the pace of a reader", () => {
  it("is waited for as long as was agreed, from when it fell behind", () => {
    const clock = new ManualClock();
    let printed = 0;
    const calls: string[] = [];
    const pace = new Pace({
      clock,
      behindMax: 100,
      readerBoundMs: 5000,
      printed: () => printed,
      pause: () => void calls.push("pause"),
      resume: () => void calls.push("resume"),
    });
    printed = 101;
    pace.printedMore();
    clock.advance(4999);
    assert.deepEqual(calls, ["pause"]);
    pace.readTo(1);
    assert.deepEqual(calls, ["pause", "resume"]);
    assert.equal(clock.pending, 0);
    printed = 300;
    pace.printedMore();
    pace[Symbol.dispose]();
    assert.deepEqual([calls.join(), clock.pending], ["pause,resume,pause,resume", 0]);
  });
});
