/** The end of the front: WebSockets are told, have their time to go, and are reset when they do not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { configSchema } from "../../src/config/schema.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { opcodes, RawWebSocket } from "./helpers/frames.ts";
import { socketsOf } from "./helpers/kernel-sockets.ts";
import { Socket } from "./helpers/socket.ts";

leavesNothing();

const drainMs = 1000;
const connections = { ...configSchema.parse({}).connections, drainMs, closingMs: 500 };

async function drained(keeper: FakeKeeper, reason: string): Promise<number> {
  const began = performance.now();
  keeper.tell({ type: "drain", reason });
  if (keeper.front.exitCode === null) await once(keeper.front, "exit");
  assert.equal(keeper.front.exitCode, 0);
  return performance.now() - began;
}

for (const reason of ["shutdown", "restart"]) {
  describe(`a drain for a ${reason}`, { timeout: patiently(60_000) }, () => {
    it("tells polite clients 1012 and is over when they have gone", async () => {
      await using keeper = await FakeKeeper.start({ config: { connections: { ...connections, drainMs: 20_000 } } });
      const clients = await Promise.all(Array.from({ length: 50 }, () => Socket.open(keeper.url, { token })));
      const tookMs = await drained(keeper, reason);
      for (const client of clients) assert.equal((await client.closed).code, 1012);
      assert.ok(tookMs < patiently(10_000), `${Math.round(tookMs)} ms`);
    });

    it("waits for those who ignore it no longer than it says, and leaves the kernel nothing", async () => {
      await using keeper = await FakeKeeper.start({ config: { connections } });
      const port = Number(new URL(keeper.url).port);
      const polite = await Promise.all(Array.from({ length: 20 }, () => Socket.open(keeper.url, { token })));
      const deaf = await Promise.all(Array.from({ length: 20 }, () => RawWebSocket.open(keeper.url, token)));
      const silent = await RawWebSocket.open(keeper.url);
      const tookMs = await drained(keeper, reason);
      for (const client of polite) assert.equal((await client.closed).code, 1012);
      for (const one of [...deaf, silent]) {
        const [close] = await one.hear(1);
        assert.deepEqual([close?.opcode, close?.payload.readUInt16BE(0)], [opcodes.close, 1012]);
      }
      assert.ok(tookMs >= drainMs * 0.8 && tookMs < drainMs + patiently(4000), `${Math.round(tookMs)} ms`);
      assert.deepEqual(socketsOf(port), []);
      for (const one of [...deaf, silent]) await one.destroy();
    });
  });
}
