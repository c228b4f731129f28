/**
 * Frames on a raw socket, after the groups 1 to 7 of the Autobahn test suite: what RFC 6455 allows is answered, what it
 * forbids ends the connection with the right code, and the next client finds the front as it was.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { closeFrame, frame, opcodes, RawWebSocket } from "./helpers/frames.ts";

leavesNothing();

const { continuation, text, binary, close, ping, pong } = opcodes;
const call = (data: string, id = 1) => JSON.stringify({ jsonrpc: "2.0", id, method: "gateway.ping", params: { data } });
const reserved = { fin: true, reserved: 4 };

describe("frames", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await FakeKeeper.start();
  });
  after(() => keeper[Symbol.asyncDispose]());

  /** Sends the frames, and hears what came back until so many were heard or the server has ended. */
  async function exchange(frames: Buffer[], count: number): Promise<{ opcode: number; payload: Buffer }[]> {
    const raw = await RawWebSocket.open(keeper.url, token);
    try {
      raw.socket.write(Buffer.concat(frames));
      return await raw.hear(count);
    } finally {
      await raw.destroy();
    }
  }
  const echoed = async (frames: Buffer[]) => {
    const [answer] = await exchange(frames, 1);
    assert.equal(answer?.opcode, text);
    const { result } = JSON.parse(answer.payload.toString()) as { result: { data: string } };
    return result.data;
  };
  async function codeOf(frames: Buffer[]): Promise<number> {
    const raw = await RawWebSocket.open(keeper.url, token);
    try {
      raw.socket.write(Buffer.concat(frames));
      return await raw.closeCode();
    } finally {
      await raw.destroy();
    }
  }
  const ends = async (cases: [name: string, code: number, frames: Buffer[]][]) => {
    for (const [name, code, frames] of cases) assert.equal(await codeOf(frames), code, name);
    assert.equal(await echoed([frame(text, call("as before"))]), "as before");
  };

  it("1: messages of every length form are answered", async () => {
    for (const length of [0, 1, 60, 65, 66, 67, 125, 126, 127, 1000, 65_400, 65_470, 65_536]) {
      const data = "*".repeat(length);
      assert.equal(await echoed([frame(text, call(data))]), data, `${length}`);
    }
    await ends([["binary is not ours", 1003, [frame(binary, "x")]]]);
  });

  it("2: pings are answered with what they said, also in a row and of the greatest length; pongs with nothing", async () => {
    for (const payload of ["", "hello", Buffer.from([0, 255, 254, 253]), Buffer.alloc(125, 7)]) {
      const [answer] = await exchange([frame(ping, payload)], 1);
      assert.equal(answer?.opcode, pong);
      assert.deepEqual(answer.payload, Buffer.from(payload));
    }
    const ten = Array.from({ length: 10 }, (_, n) => frame(ping, `${n}`));
    assert.deepEqual(
      (await exchange(ten, 10)).map(({ payload }) => payload.toString()),
      Array.from({ length: 10 }, (_, n) => `${n}`),
    );
    assert.equal(await echoed([frame(pong, "nobody asked"), frame(text, call("fine"))]), "fine");
    await ends([["a ping of 126 bytes", 1002, [frame(ping, Buffer.alloc(126))]]]);
  });

  it("3: reserved bits end it with 1002", async () => {
    await ends([
      ["text", 1002, [frame(text, call("x"), { reserved: 1 })]],
      ["text, as a compressed one", 1002, [frame(text, call("x"), reserved)]],
      ["ping", 1002, [frame(ping, "", { reserved: 2 })]],
      ["close", 1002, [frame(close, Buffer.from([3, 232]), { reserved: 7 })]],
      ["behind a good one", 1002, [frame(ping, ""), frame(text, "", { reserved: 3 })]],
    ]);
  });

  it("4: reserved opcodes end it with 1002", async () => {
    await ends([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, 1002, [frame(opcode, "x")]]));
  });

  it("5: fragments are put together, with pings between them; what is out of order ends it with 1002", async () => {
    const whole = call("in pieces");
    const pieces = [whole.slice(0, 10), whole.slice(10, 20), whole.slice(20)];
    const parts = [
      frame(text, pieces[0], { fin: false }),
      frame(continuation, pieces[1], { fin: false }),
      frame(continuation, pieces[2]),
    ];
    assert.equal(await echoed(parts), "in pieces");
    const between = await exchange([parts[0]!, frame(ping, "p"), parts[1]!, frame(continuation, ""), ...parts], 2);
    assert.deepEqual(
      between.slice(0, 2).map(({ opcode }) => opcode),
      [pong, text],
    );
    await ends([
      ["a fragmented ping", 1002, [frame(ping, "x", { fin: false }), frame(continuation, "y")]],
      ["a continuation of nothing", 1002, [frame(continuation, "x")]],
      ["an unfinished continuation of nothing", 1002, [frame(continuation, "x", { fin: false })]],
      ["a new message inside another", 1002, [parts[0]!, frame(text, "x")]],
    ]);
  });

  it("6: text that is not UTF-8 ends it with 1007, also when the break is between fragments", async () => {
    const good = call("κόσμε 𐍈 \u{10ffff}");
    assert.equal(await echoed([frame(text, good)]), "κόσμε 𐍈 \u{10ffff}");
    // Cut in the middle of a letter: whole again once it is put together.
    const bytes = Buffer.from(good);
    const cut = bytes.indexOf(0xce) + 1;
    const halves = [frame(text, bytes.subarray(0, cut), { fin: false }), frame(continuation, bytes.subarray(cut))];
    assert.equal(await echoed(halves), "κόσμε 𐍈 \u{10ffff}");
    const broken: [string, number[]][] = [
      ["a lone continuation byte", [0x80]],
      ["cut short", [0xce]],
      ["overlong", [0xc0, 0xaf]],
      ["a surrogate", [0xed, 0xa0, 0x80]],
      ["above the last letter", [0xf4, 0x90, 0x80, 0x80]],
      ["no letter at all", [0xfe]],
    ];
    await ends(broken.map(([name, wrong]) => [name, 1007, [frame(text, Buffer.from(wrong))]]));
    await ends([
      ["in a second fragment", 1007, [frame(text, "a", { fin: false }), frame(continuation, Buffer.from([0xff]))]],
      ["in a close frame's reason", 1007, [frame(close, Buffer.from([3, 232, 0xff]))]],
    ]);
  });

  it("7: close frames are answered with their code; a wrong one with 1002; what comes after one is nothing", async () => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
      assert.equal(await codeOf([closeFrame(code, "bye")]), code);
    assert.equal(await codeOf([closeFrame()]), 1005);
    assert.equal(await codeOf([closeFrame(1000, "x".repeat(123))]), 1000);
    await ends([
      ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].map((code): [string, number, Buffer[]] => {
        return [`code ${code}`, 1002, [closeFrame(code)]];
      }),
      ["half a code", 1002, [frame(close, Buffer.from([3]))]],
      ["too long", 1002, [frame(close, Buffer.alloc(126))]],
    ]);
    const heard = await exchange([closeFrame(1000), frame(text, call("too late")), frame(ping, "too late")], 3);
    assert.deepEqual(
      heard.map(({ opcode }) => opcode),
      [close],
    );
  });

  it("beyond: an unmasked frame, and lengths above the limit, end it before a byte of them is kept", async () => {
    const many = Array.from({ length: 1100 }, () => frame(continuation, "", { fin: false }));
    await ends([
      ["unmasked", 1002, [frame(text, call("x"), { masked: false })]],
      ["a declared length of 1 MiB and one", 1009, [frame(text, "", { declared: 1024 * 1024 + 1 })]],
      ["a declared length of 2^53 - 1", 1009, [frame(text, "", { declared: 2 ** 53 - 1 })]],
      ["fragments without an end", 1008, [frame(text, "x", { fin: false }), ...many]],
    ]);
  });
});
