/** Readers of streams: the same is read wherever the stream is cut, and as another reader has it. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { createParser } from "eventsource-parser";
import * as fc from "fast-check";
import { EventParser, type ServerEvent } from "../../src/mcp/servers/event-parser.ts";
import { LineCutter } from "../../src/mcp/servers/line-cutter.ts";
import { FrameReader, flags, pieceBytesMax, writeLine, type Frame } from "../../src/protocol/keeper/frames.ts";
import { BoundedLines } from "../../src/ssh/bounded-input.ts";
import { piecesOf, places, property } from "./helpers/property.ts";

const lineBreak = fc.constantFrom("\n", "\n", "\r\n", "\r");
const fieldText = fc
  .oneof(
    fc.tuple(
      fc.constantFrom("data", "event", "id", "retry", "dat", "database", "", " data"),
      fc.constantFrom(":", ": ", ":  ", ""),
    ),
  )
  .chain(([name, colon]) =>
    fc
      .oneof(fc.constantFrom("", "1", "x y", "ключ", "😀", ":"), fc.string({ maxLength: 40 }))
      .map((value) => name + colon + value.replaceAll(/[\r\n]/g, "")),
  );
const eventStream = fc
  .tuple(
    fc.constantFrom("", "", "\uFEFF"),
    fc.array(
      fc.tuple(fc.oneof({ weight: 3, arbitrary: fieldText }, fc.constantFrom("", ":", "\uFEFFdata: 1")), lineBreak),
      { maxLength: 20 },
    ),
  )
  .map(([mark, lines]) => `${mark}${lines.flat().join("")}:\n`);

function eventsOf(pieces: readonly Buffer[]): [string, string][] {
  const events: [string, string][] = [];
  const parser = new EventParser(1_000_000, ({ name, data }: ServerEvent) =>
    events.push([name, data.toString("latin1")]),
  );
  for (const piece of pieces) parser.push(piece);
  return events;
}

/** By the package that the MCP SDK uses. Empty data is no message, and is not passed on here. */
function eventsByPackage(text: string): [string, string][] {
  const events: [string, string][] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (data !== "")
        events.push([event === undefined || event === "" ? "message" : event, Buffer.from(data).toString("latin1")]);
    },
  });
  // The package takes text that a decoder has taken the mark from.
  parser.feed(text.replace(/^\uFEFF/, ""));
  return events;
}

describe("a stream of server-sent events", () => {
  property(
    "is read as eventsource-parser reads it, wherever it is cut",
    800,
    fc.tuple(eventStream, places),
    ([text, cuts]) => {
      const whole = eventsByPackage(text);
      assert.deepEqual(eventsOf(piecesOf(Buffer.from(text), cuts)), whole);
    },
  );
  property(
    "gives the same events whatever its bytes, wherever it is cut",
    800,
    fc.tuple(eventStream, fc.uint8Array({ maxLength: 20 }), fc.nat(200), places),
    ([text, bytes, at, cuts]) => {
      const stream = Buffer.from(text);
      const mixed = Buffer.concat([stream.subarray(0, at), bytes, stream.subarray(at)]);
      assert.deepEqual(eventsOf(piecesOf(mixed, cuts)), eventsOf([mixed]));
    },
  );
  property(
    "never holds more of an event than it may",
    100,
    fc.tuple(
      fc.array(fc.constantFrom("data: aaaaaaaa", "data:", "event: b", "", ":cccccccc"), { maxLength: 30 }),
      places,
    ),
    ([lines, cuts]) => {
      const bytesMax = 20;
      let longest = 0;
      const parser = new EventParser(bytesMax, ({ data }) => (longest = Math.max(longest, data.length)));
      try {
        for (const piece of piecesOf(Buffer.from(lines.join("\n")), cuts)) parser.push(piece);
      } catch (thrown) {
        assert.match(String(thrown), /an event of more than 20 bytes/);
      }
      assert.ok(longest <= bytesMax);
    },
  );
});

const bytesWithLines = fc
  .array(fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.constantFrom(Uint8Array.of(10), Uint8Array.of(13, 10))), {
    maxLength: 16,
  })
  .map((parts) => Buffer.concat(parts));

describe("a stream of lines", () => {
  property("has the same lines wherever it is cut", 800, fc.tuple(bytesWithLines, places), ([bytes, cuts]) => {
    const cutter = new LineCutter();
    const lines: string[] = [];
    for (const piece of piecesOf(bytes, cuts))
      cutter.push(Buffer.from(piece), (line) => lines.push(line.toString("latin1")));
    assert.deepEqual(lines, bytes.toString("latin1").split("\n").slice(0, -1));
  });
  property(
    "of a remote host is bounded line by line, wherever it is cut",
    800,
    fc.tuple(bytesWithLines, places, fc.nat(4)),
    ([bytes, cuts, linesMax]) => {
      const [keptBytesMax, lineBytesMax] = [8, 20];
      const lines: string[] = [];
      let excess = 0;
      const reader = new BoundedLines({
        keptBytesMax,
        lineBytesMax,
        onLine: (line) => lines.push(line) <= linesMax,
        onExcess: () => excess++,
      });
      for (const piece of piecesOf(bytes, cuts)) reader.push(piece);
      const all = bytes.toString("latin1").split("\n");
      const tooLong = all.findIndex((line) => line.length > lineBytesMax);
      const whole = all.slice(0, tooLong === -1 ? -1 : tooLong).slice(0, linesMax + 1);
      assert.deepEqual(
        lines,
        whole.map((line) => Buffer.from(line.slice(0, keptBytesMax), "latin1").toString("utf8").replace(/\r$/, "")),
      );
      assert.equal(excess, tooLong !== -1 && whole.length === tooLong && tooLong <= linesMax ? 1 : 0);
    },
  );
});

const pipeOf = (written: Buffer[]) => ({ write: (bytes: Buffer) => written.push(bytes) > 0, cork() {}, uncork() {} });
const line = fc.record({
  channel: fc.integer({ min: 0, max: 0xffff_ffff }),
  length: fc.oneof(
    fc.nat(200),
    fc.constantFrom(4095, 4096, 4097, pieceBytesMax - 1, pieceBytesMax, pieceBytesMax + 1, 2 * pieceBytesMax + 7),
  ),
  lineFlags: fc.constantFrom(0, flags.opens, flags.closes | flags.fromServer, flags.again, flags.end),
  request: fc.oneof(fc.nat(), fc.constantFrom(2 ** 52, Number.MAX_SAFE_INTEGER)),
});

interface Outcome {
  frames: Frame[];
  error: string | undefined;
}
function framesOf(pieces: readonly Buffer[]): Outcome {
  const outcome: Outcome = { frames: [], error: undefined };
  const reader = new FrameReader((frame) => outcome.frames.push({ ...frame, bytes: Buffer.from(frame.bytes) }));
  try {
    for (const piece of pieces) reader.push(Buffer.from(piece));
  } catch (thrown) {
    assert.ok(thrown instanceof RangeError, String(thrown));
    outcome.error = thrown.message;
  }
  return outcome;
}

/** The same by offsets into all of it. */
function framesNaively(bytes: Buffer): Outcome {
  const frames: Frame[] = [];
  for (let at = 0; at + 20 <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 4);
    if (length > pieceBytesMax) return { frames, error: `frame of ${length} bytes, at most ${pieceBytesMax} allowed` };
    if (at + 20 + length > bytes.length) break;
    frames.push({
      channel: bytes.readUInt32LE(at),
      flags: bytes.readUInt32LE(at + 8),
      request: bytes.readDoubleLE(at + 12),
      bytes: bytes.subarray(at + 20, at + 20 + length),
    });
    at += 20 + length;
  }
  return { frames, error: undefined };
}

describe("the data pipe of keeper and front", () => {
  property(
    "brings each line whole with its id, wherever the pipe is cut",
    150,
    fc.tuple(fc.array(line, { maxLength: 5 }), places),
    ([lines, cuts]) => {
      const written: Buffer[] = [];
      for (const [index, { channel, length, lineFlags, request }] of lines.entries())
        writeLine(pipeOf(written), channel, Buffer.alloc(length, index + 1), lineFlags, request);
      const { frames, error } = framesOf(piecesOf(Buffer.concat(written), cuts));
      assert.equal(error, undefined);
      const joined: Omit<Frame, "bytes">[] = [];
      let begun: Buffer[] = [];
      for (const { bytes, ...frame } of frames) {
        begun.push(bytes);
        if ((frame.flags & flags.more) !== 0) continue;
        const whole = Buffer.concat(begun);
        begun = [];
        assert.ok(whole.every((byte) => byte === joined.length + 1));
        joined.push({ ...frame, length: whole.length } as Omit<Frame, "bytes">);
      }
      assert.deepEqual(
        joined,
        lines.map(({ lineFlags, ...rest }) => ({ ...rest, flags: lineFlags })),
      );
    },
  );
  const garbage = fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        line.map(({ channel, length, request }) => {
          const written: Buffer[] = [];
          writeLine(pipeOf(written), channel, Buffer.alloc(length % 50), 0, request);
          return Buffer.concat(written);
        }),
      ),
      { maxLength: 6 },
    )
    .map((parts) => Buffer.concat(parts));
  property(
    "gives the frames that are in it, and one error for a length that cannot be",
    500,
    fc.tuple(garbage, places),
    ([bytes, cuts]) => {
      assert.deepEqual(framesOf(piecesOf(bytes, cuts)), framesNaively(bytes));
    },
  );
});
