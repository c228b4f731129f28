import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { readFrontMessage } from "../../src/protocol/keeper/messages.ts";
import {
  channelWindowBytes,
  CreditMeter,
  creditLumpBytes,
  lineCostBytes,
  SendWindow,
  totalWindowBytes,
} from "../../src/protocol/keeper/flow.ts";
import {
  encodeHeader,
  flags,
  FrameReader,
  pieceBytesMax,
  writeLine,
  type Frame,
} from "../../src/protocol/keeper/frames.ts";
import { LineRelay } from "../../src/keeper/relay.ts";

/** A small generator with a seed, so that a failure can be had again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

function collect(write: (pipe: Parameters<typeof writeLine>[0]) => void): Buffer {
  const parts: Buffer[] = [];
  write({ write: (bytes) => parts.push(Buffer.from(bytes)) > 0, cork() {}, uncork() {} });
  return Buffer.concat(parts);
}

describe("frames", () => {
  it("lines of every length come out as they went in, however the bytes are cut", () => {
    const seed = Date.now() % 1_000_000;
    const random = randomFrom(seed);
    const lines = [0, 1, pieceBytesMax - 1, pieceBytesMax, pieceBytesMax + 1, 5 * pieceBytesMax + 17].map(
      (length, channel) => ({
        channel,
        line: Buffer.alloc(length, 97 + channel),
      }),
    );
    const bytes = collect((pipe) => {
      for (const { channel, line } of lines) writeLine(pipe, channel, line, flags.opens, 2 ** 40 + channel);
    });
    const heard = new Map<number, { line: Buffer; request: number }>();
    const pieces = new Map<number, Buffer[]>();
    const reader = new FrameReader((frame: Frame) => {
      const had = [...(pieces.get(frame.channel) ?? []), Buffer.from(frame.bytes)];
      pieces.set(frame.channel, had);
      if ((frame.flags & flags.more) === 0)
        heard.set(frame.channel, { line: Buffer.concat(had), request: frame.request });
    });
    for (let at = 0; at < bytes.length;) {
      const length = 1 + random(40_000);
      reader.push(bytes.subarray(at, at + length));
      at += length;
    }
    for (const { channel, line } of lines) {
      assert.ok(heard.get(channel)?.line.equals(line), `channel ${channel}, seed ${seed}`);
      assert.equal(heard.get(channel)?.request, 2 ** 40 + channel, "an id past 32 bits is carried whole");
    }
  });

  it("a frame longer than a piece may be is refused, not buffered", () => {
    const reader = new FrameReader(() => assert.fail("a frame came out"));
    assert.throws(() => reader.push(encodeHeader(1, pieceBytesMax + 1, 0, 0)), RangeError);
  });
});

describe("credit", () => {
  it("a sender stops at its window and goes on when credit comes", () => {
    const window = new SendWindow();
    window.sent(1, channelWindowBytes);
    assert.equal(window.hasRoom(1), false);
    assert.equal(window.hasRoom(2), true, "another channel is not held up");
    let resumed = 0;
    window.whenRoom(1, () => (resumed += 1));
    assert.equal(resumed, 0);
    window.credited(1, creditLumpBytes);
    assert.equal(resumed, 1);
  });

  it("all channels together stop at the total window", () => {
    const window = new SendWindow();
    for (let channel = 0; channel < totalWindowBytes / channelWindowBytes; channel += 1) {
      window.sent(channel, channelWindowBytes);
    }
    assert.equal(window.hasRoom(999), false);
    window.forget(0);
    assert.equal(window.hasRoom(999), true, "a channel that is gone gives its share back");
  });

  it("credit that was never owed widens nothing", () => {
    const window = new SendWindow();
    window.credited(1, 1_000_000_000);
    window.sent(1, channelWindowBytes);
    assert.equal(window.hasRoom(1), false);
  });

  it("many quiet channels cannot hold the total window shut", () => {
    const window = new SendWindow();
    const meter = new CreditMeter((channel, bytes) => window.credited(channel, bytes));
    const each = creditLumpBytes - 1;
    for (let channel = 0; channel < 1000; channel += 1) {
      assert.ok(window.hasRoom(channel), `channel ${channel} is held up`);
      window.sent(channel, each);
      meter.consumed(channel, each);
    }
  });
});

describe("a run's lines", () => {
  /** A relay between streams of ours; `heard` is what its front got. */
  function relay() {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const heard: Frame[] = [];
    const reader = new FrameReader((frame) => heard.push(frame));
    const pipe = { write: (bytes: Buffer) => (reader.push(bytes), true), cork() {}, uncork() {} };
    const window = new SendWindow();
    let credited = 0;
    const meter = new CreditMeter((_channel, bytes) => (credited += bytes));
    const made = new LineRelay(1, () => {});
    made.begin({ stdin, stdout, stderr: null });
    made.attach({ pipe, window, meter });
    return { relay: made, stdout, heard, window, credited: () => credited };
  }

  it("are few on their way however short they are, and the rest comes with credit, in order, before the end", async () => {
    const { stdout, heard, window } = relay();
    const lines = Array.from({ length: 20_000 }, (_, at) => String(at));
    stdout.end(`${lines.join("\n")}\n`);
    for (let turn = 0; turn < 100 && !stdout.isPaused(); turn++) await setImmediate();
    const most = channelWindowBytes / lineCostBytes;
    assert.ok(heard.length > most / 2 && heard.length <= most, String(heard.length));
    for (let turn = 0; turn < 1000 && (heard.at(-1)?.flags ?? 0) !== flags.end; turn++) {
      window.credited(1, Number.MAX_SAFE_INTEGER);
      await setImmediate();
    }
    assert.equal(heard.pop()?.flags, flags.end);
    assert.deepEqual(
      heard.map(({ bytes }) => bytes.toString()),
      lines,
    );
  });

  it("are held up by no word about a question, however long its id: the word's credit comes back", () => {
    const { relay: made, credited } = relay();
    const bytes = Buffer.alloc(creditLumpBytes, "9");
    made.toServer({ channel: 1, flags: flags.opens | flags.fromServer, request: 7, bytes });
    assert.equal(credited(), creditLumpBytes);
  });
});

describe("the keeper takes nothing from the front but what is in the protocol", () => {
  const start = {
    type: "run.start",
    request: 1,
    params: { server: "a", sessionId: "s", onFrontLoss: "kill", blob: "" },
  };
  const refused: [string, unknown][] = [
    ["a command", { ...start, params: { ...start.params, command: "sh" } }],
    ["arguments", { ...start, params: { ...start.params, args: ["-c", "id"] } }],
    ["an environment", { ...start, params: { ...start.params, env: { PATH: "/tmp" } } }],
    ["another state file", { ...start, params: { ...start.params, state: "/etc" } }],
    ["a blob past its limit", { ...start, params: { ...start.params, blob: "x".repeat(65_537) } }],
    ["a made-up end reason", { type: "run.stop", request: 1, params: { run: "r", reason: "because" } }],
    ["a made-up message", { type: "run.exec", request: 1, params: {} }],
    ["no object", "run.start"],
    ["null", null],
    ["a channel that is none", { type: "credit", channel: -1, bytes: 1 }],
  ];
  for (const [what, message] of refused) {
    it(`refuses ${what}`, () => assert.ok("wrong" in readFrontMessage(message)));
  }
  it("takes a well-formed request", () => assert.ok("message" in readFrontMessage(start)));
});
