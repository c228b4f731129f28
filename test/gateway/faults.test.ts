/** Whatever a client does, its descriptor is released within the configured deadline, and the kernel keeps nothing of it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { configSchema } from "../../src/config/schema.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { statOf } from "../helpers/pids.ts";
import { patiently, until } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { faults, type Place } from "./helpers/faults.ts";
import { socketDescriptors, socketsOf } from "./helpers/kernel-sockets.ts";
import { Socket } from "./helpers/socket.ts";

leavesNothing();

/** On top of the deadlines: for the judgement's own rhythm and a loaded machine. */
const slackMs = 2000;

const connections = {
  ...configSchema.parse({}).connections,
  // Long enough for a client of a loaded machine that means well.
  headMs: 2000,
  authMs: 2000,
  idleMs: 1000,
  heartbeatMs: 500,
  heartbeatGraceMs: 1500,
  slowMs: 800,
  closingMs: 400,
  pauseBytes: 65_536,
  closeBytes: 262_144,
};

describe("the front", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  let place: Place;
  let idleDescriptors = 0;
  before(async () => {
    keeper = await FakeKeeper.start({ config: { connections } });
    place = { url: keeper.url, token, limits: connections };
    idleDescriptors = socketDescriptors(keeper.front.pid ?? 0);
  });
  after(() => keeper[Symbol.asyncDispose]());
  const port = () => Number(new URL(keeper.url).port);
  const isHeld = (clientPort: number) => socketsOf(port()).some((one) => one.held && one.remotePort === clientPort);
  const isKept = (clientPort: number) => socketsOf(port()).some((one) => one.remotePort === clientPort);

  describe("lets go in time", { concurrency: true }, () => {
    for (const { name, deadlineMs, start } of faults) {
      it(name, async () => {
        const { port: clientPort, clean } = await start(place);
        try {
          const boundMs = deadlineMs(connections) + slackMs;
          await until(`${name}: the descriptor is released`, () => !isHeld(clientPort), { boundMs });
          await until(`${name}: the kernel has forgotten it`, () => !isKept(clientPort), { boundMs: 5000 });
        } finally {
          await clean();
        }
      });
    }
  });

  it("forgets 200 clients that came and went while it was stuck, and blames nobody for its own silence", async () => {
    await using honest = await Socket.open(keeper.url, { token, autoPong: false });
    const { front } = keeper;
    await once(honest.ws, "ping");
    front.kill("SIGSTOP");
    try {
      await until("it is stopped", () => statOf(front.pid ?? 0)?.state === "T", { boundMs: 5000 });
      // Its answer is in time, and cannot be heard.
      honest.ws.pong();
      honest.ws.on("ping", () => honest.ws.pong());
      const clients = Array.from({ length: 200 }, () => net.connect(port(), "127.0.0.1").on("error", () => {}));
      await Promise.all(clients.map((client) => once(client, "connect")));
      for (const client of clients) client.destroy();
      await Promise.all(clients.map((client) => once(client, "close")));
      assert.ok(socketsOf(port()).filter(({ state }) => state === "CLOSE-WAIT").length >= 100, "the kernel holds them");
      // Longer than heartbeat and grace together: the honest client could not be heard for so long.
      await delay(connections.heartbeatMs + connections.heartbeatGraceMs + 500);
    } finally {
      front.kill("SIGCONT");
    }
    const left = () => socketsOf(port()).filter(({ remotePort }) => remotePort !== honest.raw.localPort);
    await until("all are gone", () => left().length === 0, { boundMs: connections.headMs + slackMs });
    assert.deepEqual((await honest.call("gateway.ping", { data: "still here" })).result, { data: "still here" });
  });

  it("has as many sockets as it says, and as few as before when all are gone", async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => Socket.open(keeper.url, { token })));
    assert.equal(socketDescriptors(keeper.front.pid ?? 0), idleDescriptors + 20);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    const isIdle = () => socketDescriptors(keeper.front.pid ?? 0) === idleDescriptors;
    await until("the sockets of an idle front", isIdle, { boundMs: 5000 });
    assert.deepEqual(socketsOf(port()), []);
  });
});
