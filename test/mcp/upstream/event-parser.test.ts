/** Server-sent events: read as the standard has them, and at a cost that no sender can choose. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventParser } from "../../../src/mcp/servers/event-parser.ts";
import { growthOf, linearMax } from "../../helpers/growth.ts";

const mebibyte = 1024 * 1024;

/** The events of a stream that comes in pieces of so many bytes, as `name: data`. */
function eventsOf(stream: string | Buffer, pieceBytes = 1_000_000): string[] {
  const events: string[] = [];
  const parser = new EventParser(16 * mebibyte, ({ name, data }) => events.push(`${name}: ${data.toString()}`));
  const bytes = Buffer.from(stream);
  for (let at = 0; at < bytes.length; at += pieceBytes) parser.push(bytes.subarray(at, at + pieceBytes));
  return events;
}

/** SessionHandoff that is held when the stream has ended, in mebibytes. */
function heldAfter(pieces: number, piece: string, bytesMax = 16 * mebibyte): number {
  const parser = new EventParser(bytesMax, () => {});
  const chunk = Buffer.from(piece);
  const held = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  globalThis.gc?.();
  const before = held();
  let most = 0;
  try {
    for (let at = 0; at < pieces; at++) {
      parser.push(Buffer.from(chunk));
      if (at % 64 === 0) most = Math.max(most, held() - before);
    }
  } catch (thrown) {
    assert.match(String(thrown), /an event of more than \d+ (?:bytes|lines)/);
  }
  return Math.max(most, held() - before) / mebibyte;
}

describe("a stream of events", () => {
  it("is read the same wherever its pieces are cut, with every kind of line break", () => {
    const written = ["event: a", "data: 1", "data:2", "", ":", "id: 7", "data", "", "data: three", "", ""];
    for (const lineBreak of ["\n", "\r\n", "\r"])
      for (const pieceBytes of [1, 2, 3, 1000])
        assert.deepEqual(eventsOf(written.join(lineBreak), pieceBytes), ["a: 1\n2", "message: three"]);
  });

  it("may begin with a byte order mark, and only begin with it", () => {
    for (const pieceBytes of [1, 2, 1000]) {
      assert.deepEqual(eventsOf("\uFEFFdata: 1\n\n", pieceBytes), ["message: 1"]);
      assert.deepEqual(eventsOf("data: 0\n\n\uFEFFdata: 1\n\ndata: 2\n\n", pieceBytes), ["message: 0", "message: 2"]);
    }
  });

  it("costs as much as it is long, in pieces of 4 KiB and in single bytes", () => {
    const inPieces = (pieceBytes: number) => (bytes: number) => {
      const parser = new EventParser(64 * mebibyte, () => {});
      const piece = Buffer.alloc(pieceBytes, "x");
      parser.push(Buffer.from("data: "));
      for (let at = 0; at < bytes; at += pieceBytes) parser.push(piece);
      parser.push(Buffer.from("\n\n"));
    };
    for (const [pieceBytes, bytes] of [
      [4096, 4 * mebibyte],
      [1, mebibyte / 4],
    ] as const) {
      const growth = growthOf(inPieces(pieceBytes), bytes);
      assert.ok(growth < linearMax, `${pieceBytes}: four times as long cost ${growth.toFixed(1)} times as much`);
    }
  });

  it("costs as much as it is long where each line break is a lone CR, or each line is empty of words", () => {
    for (const line of ["x\r", "data: \n", ":\n"]) {
      const growth = growthOf((lines) => eventsOf(line.repeat(lines)), 50_000);
      assert.ok(growth < linearMax, `${JSON.stringify(line)}: ${growth.toFixed(1)}`);
    }
  });

  it("takes no more memory than an event may be long, whatever its lines are", () => {
    // Sixteen million lines without a word in them, comments for ever, and fields that say nothing.
    for (const line of ["data: \n", ":\n", "id: 1\n", "event: x\n", "retry: 1\n", "nonsense\n"]) {
      const lines = line === "data: \n" ? 1000 : 20;
      const held = heldAfter(lines, line.repeat(16_384));
      assert.ok(held < 100, `${JSON.stringify(line)}: ${held.toFixed(0)} MiB are held`);
    }
    const held = heldAfter(mebibyte, "x", mebibyte);
    assert.ok(held < 20, `single bytes: ${held.toFixed(0)} MiB are held`);
  });

  it("ends where one event is longer than it may be", () => {
    for (const stream of [
      "data: xxxxxxxxxx",
      ":xxxxxxxxxxxxxxx",
      "data: xxxx\ndata: xxxx\ndata: xxxx\n",
      "data: \n".repeat(20),
    ]) {
      const parser = new EventParser(10, () => {});
      assert.throws(() => parser.push(Buffer.from(stream)), /an event of more than 10 bytes/);
    }
    const lines = new EventParser(16 * mebibyte, () => {});
    assert.throws(() => lines.push(Buffer.from("data\n".repeat(1_100_000))), /an event of more than 1000000 lines/);
    const parser = new EventParser(10, () => {});
    for (let at = 0; at < 1000; at++) parser.push(Buffer.from("data: xxx\n\n: fine\n\n"));
  });
});
