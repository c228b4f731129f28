/** Each attack that got into other gateways gets into a naive one here, so that it is known to be one; and not into ours. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { configSchema } from "../../src/config/schema.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { connectRaw, frame, opcodes, RawWebSocket, upgradeText } from "./helpers/frames.ts";
import { NaiveGateway } from "./helpers/naive.ts";
import { sendRaw } from "./helpers/raw.ts";
import { Socket, type SocketOptions } from "./helpers/socket.ts";

leavesNothing();

interface Target {
  url: string;
  token: string;
  /** Calls of `gateway.stop` that were carried out. */
  executed: () => number;
  crashed: () => Promise<boolean>;
}

interface Attack {
  name: string;
  /** Whether it had its effect. */
  succeeds: (target: Target) => Promise<boolean>;
}

const stop = '{"jsonrpc":"2.0","id":9,"method":"gateway.stop"}';

/** Opens as told, sends the messages in one packet, and tells whether `gateway.stop` was carried out. */
async function stopsBy(target: Target, options: SocketOptions, messages: unknown[]): Promise<boolean> {
  const executed = target.executed();
  const socket = await Socket.open(target.url, options).catch(() => undefined);
  if (socket === undefined) return false;
  await using _ = socket;
  socket.raw.cork();
  for (const message of messages) socket.ws.send(typeof message === "string" ? message : JSON.stringify(message));
  socket.raw.uncork();
  await Promise.race([socket.closed, socket.find(({ id }) => id === 9)]).catch(() => {});
  return target.executed() > executed;
}

const auth = (given: unknown, id = 1) => ({ jsonrpc: "2.0", id, method: "auth", params: { token: given } });
const asPage = (origin: string): Attack => ({
  name: `a page of the origin ${origin} uses a token that it got hold of`,
  succeeds: (target) => stopsBy(target, { token: target.token, headers: { origin } }, [stop]),
});
const asHost = (host: string): Attack => ({
  name: `a name of somebody else's, ${host}, that points here (DNS rebinding)`,
  succeeds: (target) => stopsBy(target, { token: target.token, headers: { host } }, [stop]),
});

/** A WebSocket that has proven nothing sends so much, and is still welcome. */
async function isHeardOut(target: Target, frames: Buffer): Promise<boolean> {
  const raw = await RawWebSocket.open(target.url);
  try {
    raw.socket.write(frames);
    raw.socket.write(frame(opcodes.ping, "still there?"));
    return (await raw.hear(1)).some(({ opcode }) => opcode === opcodes.pong);
  } finally {
    await raw.destroy();
  }
}

const attacks: Attack[] = [
  asPage("null"),
  asPage("http://127.evil.com"),
  asPage("http://localhost.evil.com"),
  asHost("evil.com"),
  asHost("127.evil.com"),
  {
    name: "two Host headers, of which one is ours",
    succeeds: async ({ url, token: bearer }) => {
      const twice = upgradeText(bearer).replace("Host: localhost\r\n", "Host: localhost\r\nHost: evil.com\r\n");
      return (await sendRaw(url, `${twice}${frame(opcodes.close).toString("latin1")}`)).startsWith("HTTP/1.1 101");
    },
  },
  {
    name: "a token that is as long as the right one",
    succeeds: (target) => stopsBy(target, {}, [auth("x".repeat(target.token.length)), stop]),
  },
  {
    name: "calls in the same packet, behind a token that is refused",
    succeeds: (target) => stopsBy(target, {}, [auth("wrong"), stop]),
  },
  {
    name: "a token that is no text",
    succeeds: async (target) => {
      for (const given of [5, null, true, {}, { length: 5 }, [[]]]) await stopsBy(target, {}, [auth(given), stop]);
      return target.crashed();
    },
  },
  {
    name: "a token in the URL",
    succeeds: (target) => stopsBy(target, { query: `?token=${target.token}` }, [stop]),
  },
  {
    name: "a second auth on one connection",
    succeeds: async (target) => {
      await using socket = await Socket.open(target.url);
      await socket.call("auth", { token: target.token });
      return (await socket.call("auth", { token: target.token })).error === undefined;
    },
  },
  {
    name: "a form of another site posts to /rpc",
    succeeds: async (target) => {
      const executed = target.executed();
      const headers = { "content-type": "text/plain", origin: "https://evil.com" };
      await exchange(`${target.url}/rpc`, { method: "POST", headers, body: stop });
      return target.executed() > executed;
    },
  },
  {
    name: "five megabytes before the token",
    succeeds: (target) => isHeardOut(target, bigMessage()),
  },
  {
    name: "ten thousand fragments before the token",
    succeeds: (target) => {
      const piece = frame(opcodes.continuation, "", { fin: false });
      return isHeardOut(
        target,
        Buffer.concat([frame(opcodes.text, "x", { fin: false }), ...Array(10_000).fill(piece)]),
      );
    },
  },
  {
    name: "forty connections that say nothing hold everybody else out",
    succeeds: async (target) => {
      // Some of them are reset before they know that they are connected.
      const opening = await Promise.allSettled(Array.from({ length: 40 }, () => connectRaw(target.url)));
      const silent = opening.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      try {
        const socket = await Socket.open(target.url, { token: target.token }).catch(() => undefined);
        await socket?.[Symbol.asyncDispose]();
        return socket === undefined;
      } finally {
        for (const one of silent) one.destroy();
      }
    },
  },
];

/** The head of a message of 5 MB with its first 4.9: one whose end is still to come keeps its memory. */
function bigMessage(): Buffer {
  return frame(opcodes.text, "x".repeat(4_900_000), { fin: false });
}

describe("an attack that gets into a naive gateway", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  let naive: NaiveGateway;
  let ours: Target;
  let theirs: Target;
  before(async () => {
    const connections = { ...configSchema.parse({}).connections, unprovenPerAddressMax: 20 };
    keeper = await FakeKeeper.start({ config: { connections } });
    naive = await NaiveGateway.start();
    theirs = {
      url: naive.url,
      token: naive.token,
      executed: () => naive.executed,
      crashed: () => Promise.resolve(naive.crashes > 0),
    };
    ours = {
      url: keeper.url,
      token,
      executed: () => keeper.heard.filter(({ type }) => type === "gateway.stop").length,
      crashed: async () => (await exchange(`${keeper.url}/healthz`)).status !== 200,
    };
  });
  after(async () => {
    await naive[Symbol.asyncDispose]();
    await keeper[Symbol.asyncDispose]();
  });

  for (const { name, succeeds } of attacks) {
    it(`does not get into ours: ${name}`, async () => {
      assert.equal(await succeeds(theirs), true, "the naive gateway holds it off: this proves nothing");
      assert.equal(await succeeds(ours), false);
    });
  }

  it("and the owner of the token is served after all of that", async () => {
    assert.equal(await stopsBy(ours, { token }, [stop]), true);
  });
});
