/** The node's wire to its gateway: what it takes, when it counts the gateway as gone, and how it ends. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Wire } from "../../src/nodes/node/wire.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { Socket } from "./helpers/fake-socket.ts";

function wired() {
  const clock = new ManualClock();
  const socket = new Socket();
  const words: string[] = [];
  const closed: string[] = [];
  const wire = new Wire(socket as never, clock, {
    onWord: ({ type }) => void words.push(type),
    onClosed: (why) => void closed.push(why),
  });
  return { clock, socket, words, closed, wire };
}

describe("the wire to a gateway", () => {
  it("asks for a word at each beat, and is gone after five without one; any word counts", () => {
    for (const word of ["ping", "pong", "message"]) {
      const { clock, socket, closed, wire } = wired();
      wire.isWelcome = true;
      wire.expectHeartbeats(1000);
      for (let round = 0; round < 3; round += 1) {
        clock.advance(4000);
        assert.equal(closed.length, 0, word);
        if (word === "message") socket.says({ type: "pending", node: "a".repeat(32) });
        else socket.emit(word);
      }
      assert.equal(socket.pings, 12);
      clock.advance(4999);
      assert.deepEqual(closed, []);
      clock.advance(1);
      assert.deepEqual([closed, clock.pending], [["nothing was heard of it for 4000 ms"], 0]);
    }
  });

  it("beats no faster than twice a second, and as agreed last", () => {
    const { clock, socket, wire } = wired();
    wire.expectHeartbeats(1);
    clock.advance(1000);
    assert.equal(socket.pings, 2);
    wire.expectHeartbeats(10_000);
    clock.advance(9999);
    assert.equal(socket.pings, 2);
    assert.equal(clock.pending, 1);
  });

  it("takes words of the agreed form alone, short ones until the welcome, and none once it ends", () => {
    const long = { type: "refused", code: "node_revoked", message: "x".repeat(8000) };
    const cases: [string, (socket: Socket) => void, RegExp][] = [
      ["binary", (socket) => socket.emit("message", Buffer.from("{}"), true), /binary/],
      ["long", (socket) => socket.says({ ...long, message: "x".repeat(8192) }), /too much before its welcome/],
      ["unknown", (socket) => socket.says({ type: "hello" }), /a word that there is not/],
      ["no JSON", (socket) => socket.emit("message", Buffer.from("{"), false), /a word that there is not/],
    ];
    for (const [what, say, why] of cases) {
      const { socket, words, closed } = wired();
      say(socket);
      assert.match(closed.join(), why, what);
      socket.says({ type: "pending", node: "a".repeat(32) });
      assert.deepEqual([words, closed.length], [[], 1], what);
    }
    const { socket, words, wire } = wired();
    wire.isWelcome = true;
    socket.says({ ...long, message: "x".repeat(8192) });
    assert.deepEqual(words, ["refused"]);
  });

  it("says nothing into a connection that is closed, and gives up one that is not read", () => {
    const { socket, closed, wire } = wired();
    wire.send({ type: "runs", runs: [], more: false });
    assert.equal(socket.sent.length, 1);
    socket.bufferedAmount = 64 * 1024 * 1024;
    wire.send({ type: "runs", runs: [], more: false });
    assert.deepEqual([socket.sent.length, closed], [2, []]);
    socket.bufferedAmount += 1;
    wire.send({ type: "runs", runs: [], more: false });
    assert.match(closed.join(), /it does not read/);
    socket.bufferedAmount = 0;
    wire.send({ type: "runs", runs: [], more: false });
    assert.equal(socket.sent.length, 2);
    socket.readyState = 3;
    assert.equal(wire.isOpen, false);
  });

  it("knows that what it said was taken by the answer to its ping, in order, and never after its end", () => {
    const { clock, socket, wire } = wired();
    const taken: number[] = [];
    wire.whenTaken(() => taken.push(1));
    wire.whenTaken(() => taken.push(2));
    assert.deepEqual([taken, socket.pings], [[], 2]);
    socket.emit("pong");
    assert.deepEqual(taken, [1]);
    socket.emit("pong");
    socket.emit("pong");
    assert.deepEqual(taken, [1, 2]);
    wire.end("enough");
    wire.whenTaken(() => taken.push(3));
    wire.end("again");
    assert.deepEqual([socket.ends, socket.pings], [["close"], 2]);
    clock.advance(2000);
    assert.deepEqual(socket.ends, ["close", "terminate"]);
    assert.equal(clock.pending, 0);
  });

  it("tells why it was closed: by us, by the gateway in its words, or by what lies between", () => {
    const [ours, theirs, broken, mute] = [wired(), wired(), wired(), wired()];
    ours.wire.end("enough");
    ours.socket.emit("close", 1000, Buffer.alloc(0));
    theirs.socket.emit("close", 1008, Buffer.from("go away"));
    broken.socket.emit("close", 1006, Buffer.alloc(0));
    mute.socket.emit("close", 1001, Buffer.alloc(0));
    assert.deepEqual(
      [ours, theirs, broken, mute].map(({ closed }) => closed.join()),
      ["enough", "it closed the connection (1008 go away)", "the connection broke", "it closed the connection (1001)"],
    );
    assert.equal(ours.clock.pending, 0);
  });
});
