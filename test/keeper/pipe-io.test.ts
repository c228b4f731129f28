/** The pipes of a command: what it is told, within bounds, and what it prints, to the last byte. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { PassThrough } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { PipeIo } from "../../src/keeper/background/pipe-io.ts";
import { RunOutput } from "../../src/keeper/background/output.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

const mebibyte = 1024 * 1024;
const turns = () => new Promise(setImmediate);

class Command implements Disposable {
  readonly clock = new ManualClock();
  readonly stdin = new PassThrough({ highWaterMark: 1 });
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly io: PipeIo;
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-pipes-"));

  constructor({ isApart = true, hasInput = true } = {}) {
    const output = (name: string) => new RunOutput(join(this.#directory, name), 1000, this.clock);
    const parts = { clock: this.clock, stdout: output("out"), stderr: isApart ? output("err") : null, hangUp() {} };
    this.io = new PipeIo(parts, hasInput);
    const { stdin, stdout, stderr } = this;
    this.io.begin({ stdin: hasInput ? stdin : null, stdout, stderr } as never);
  }

  printed(stream: "stdout" | "stderr"): string | undefined {
    return this.io.output(stream)?.ring.read(0, 1000).bytes.toString();
  }

  [Symbol.dispose](): void {
    this.io.close();
    rmSync(this.#directory, { recursive: true });
  }
}

describe("input of a command", () => {
  it("is taken up to a mebibyte that it does not read, and again as soon as it did", async () => {
    using command = new Command();
    const { io, stdin } = command;
    const piece = Buffer.alloc(65_536);
    const fill = () => {
      for (;;) io.write(piece, null);
    };
    assert.throws(fill, { code: "input_full" });
    // What is in the pipe itself is the command's.
    const taken = io.write(Buffer.alloc(0), null);
    assert.ok(taken >= mebibyte && taken <= mebibyte + 2 * piece.length, `${taken}`);
    stdin.resume();
    await turns();
    assert.equal(io.write(piece, null), taken + piece.length);
  });

  it("is counted, so that what is sent again is dropped and a gap is refused", async () => {
    using command = new Command();
    const { io, stdin } = command;
    const heard: string[] = [];
    stdin.on("data", (chunk: Buffer) => heard.push(String(chunk)));
    assert.deepEqual([io.write(Buffer.from("abc"), 0), io.write(Buffer.from("abcde"), 0), io.write(Buffer.from("de"), 3)], [3, 5, 5]);
    assert.throws(() => io.write(Buffer.from("x"), 6), { code: "input_gap" });
    assert.equal(io.write(Buffer.from("f"), 5), 6);
    await turns();
    assert.equal(heard.join(""), "abcdef");
  }); // prettier-ignore

  it("is refused when there is none, and after its end", () => {
    using none = new Command({ hasInput: false });
    assert.deepEqual([none.io.request(), none.io.hasInput], [{ stdin: "ignore" }, false]);
    assert.throws(() => none.io.write(Buffer.from("x"), null), { code: "run_ended" });
    using ended = new Command();
    ended.io.endInput();
    assert.throws(() => ended.io.write(Buffer.from("x"), null), { code: "run_ended" });
    assert.throws(() => ended.io.resize(), { code: "invalid_params" });
  });
});

describe("output of a command", () => {
  it("is apart or as it came, and complete once both of its pipes are closed", async () => {
    for (const isApart of [true, false]) {
      using command = new Command({ isApart });
      const { io, stdout, stderr } = command;
      stdout.write("a");
      await turns();
      stderr.write("b");
      await turns();
      stdout.end("c");
      let isDrained = false;
      const drained = io.drained().then(() => (isDrained = true));
      await turns();
      assert.equal(isDrained, false, "one of its pipes is open");
      stderr.end();
      await drained;
      assert.equal(command.printed("stdout"), isApart ? "ac" : "abc");
      assert.equal(command.printed("stderr"), isApart ? "b" : undefined);
      assert.equal(io.view().outputBytes, 3);
    }
  });

  it("is waited for a second when another process holds its pipe", async () => {
    using command = new Command();
    const drained = command.io.drained();
    command.clock.advance(1000);
    await drained;
  });

  it("waits for its reader in the foreground, each stream for its own, until the run ends", async () => {
    using command = new Command();
    const { io, stdout, stderr } = command;
    io.pace(1000);
    stdout.write("x".repeat(251));
    stderr.write("y".repeat(250));
    await turns();
    assert.deepEqual([stdout.isPaused(), stderr.isPaused()], [true, false]);
    io.output("stdout")?.readTo(251);
    assert.equal(stdout.isPaused(), false);
    stderr.write("y");
    await turns();
    assert.equal(stderr.isPaused(), true);
    io.stopPacing();
    assert.equal(stderr.isPaused(), false);
  });
});
