/** Lines and bodies in the worst of pieces cost what they are long: in time, and in memory. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { FrameReader, flags, encodeHeader } from "../../src/protocol/keeper/frames.ts";
import { SendWindow } from "../../src/protocol/keeper/flow.ts";
import { LineRelay } from "../../src/keeper/relay.ts";
import { BodyReader } from "../../src/mcp/http/body.ts";
import { LineCutter } from "../../src/mcp/servers/line-cutter.ts";
import { growthOf, linearMax } from "../helpers/growth.ts";
import { patiently } from "../helpers/until.ts";

const mebibyte = 1024 * 1024;
/** An own buffer each, as a socket gives them. */
const byte = () => Buffer.from("x");

function heldBy(work: () => void): number {
  const held = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const before = held();
  work();
  return (held() - before) / mebibyte;
}

describe("what comes byte by byte", { timeout: patiently(120_000) }, () => {
  it("is one line of a server on a node, without an object for each byte", () => {
    const lines: number[] = [];
    const cutter = new LineCutter();
    const held = heldBy(() => {
      for (let at = 0; at < 2 * mebibyte; at++) cutter.push(byte(), () => {});
    });
    assert.ok(held < 100, `${held.toFixed(0)} MiB are held`);
    cutter.push(Buffer.from("\n"), (line) => lines.push(line.length));
    assert.deepEqual(lines, [2 * mebibyte]);
  });

  it("is one body of a client, without an object for each byte", async () => {
    const request = Object.assign(new EventEmitter(), { headers: {} }) as unknown as IncomingMessage;
    const body = new BodyReader().read(request, {} as ServerResponse, 4 * mebibyte);
    const held = heldBy(() => {
      for (let at = 0; at < 2 * mebibyte; at++) request.emit("data", byte());
    });
    request.emit("end");
    const read = await body;
    assert.ok(Buffer.isBuffer(read) && read.length === 2 * mebibyte);
    assert.ok(held < 100, `${held.toFixed(0)} MiB are held`);
  });

  it("is one frame between keeper and front, at a cost that is its length", () => {
    const work = (length: number) => {
      let frames = 0;
      const reader = new FrameReader(({ bytes }) => {
        assert.equal(bytes.length, length);
        frames++;
      });
      const frame = Buffer.concat([encodeHeader(1, length, 0, 0), Buffer.alloc(length, "x")]);
      for (let round = 0; round < 4; round++)
        for (let at = 0; at < frame.length; at++) reader.push(frame.subarray(at, at + 1));
      assert.equal(frames, 4);
    };
    const growth = growthOf(work, 16_000);
    assert.ok(growth < linearMax, `four times as long cost ${growth.toFixed(1)} times as much`);
  });

  it("is one line of a server at home, at a cost that is its length", async () => {
    const frames: { length: number; more: boolean }[] = [];
    const window = new SendWindow();
    const reader = new FrameReader(({ bytes, flags: said }) => {
      frames.push({ length: bytes.length, more: (said & flags.more) !== 0 });
      window.credited(1, bytes.length);
    });
    const pipe = { write: (bytes: Buffer) => (reader.push(bytes), true), cork() {}, uncork() {} };
    const stdout = new PassThrough();
    const relay = new LineRelay(1, () => {});
    relay.begin({ stdin: new PassThrough(), stdout, stderr: null });
    relay.attach({ pipe, window, meter: undefined as never });
    const linesOf = (length: number) => {
      for (let round = 0; round < 4; round++) {
        for (let at = 0; at < length; at++) stdout.emit("data", byte());
        stdout.emit("data", Buffer.from("\n"));
      }
    };
    const growth = growthOf(linesOf, 16_000);
    await setImmediate();
    assert.ok(growth < linearMax, `four times as long cost ${growth.toFixed(1)} times as much`);
    assert.deepEqual(frames[0], { length: 16_000, more: false });
    assert.ok(frames.every(({ length, more }) => !more && (length === 16_000 || length === 64_000)));
  });
});
