/** Whatever a client does, a gateway on Windows lets go of its connection in time. Clients and the look at sockets are Linux's. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { configSchema } from "../../src/config/schema.ts";
import { faults, type Fault, type Place } from "../gateway/helpers/faults.ts";
import { connectRaw } from "../gateway/helpers/frames.ts";
import { socketsOf } from "../gateway/helpers/kernel-sockets.ts";
import { patiently, until } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { WindowsGateway } from "./gateway.ts";
import { WindowsMachine } from "./machine.ts";

/** On top of the deadlines: for the judgement's own rhythm, and wine's. */
const slackMs = 4000;

const connections = {
  ...configSchema.parse({}).connections,
  headMs: 2000,
  authMs: 2000,
  idleMs: 1000,
  heartbeatMs: 1000,
  heartbeatGraceMs: 3000,
  slowMs: 1500,
  closingMs: 400,
  pauseBytes: 65_536,
  closeBytes: 262_144,
};

/** Rows beside those of Linux. */
const more: Fault[] = [
  {
    name: "WebSocket client is killed",
    deadlineMs: () => 0,
    start: async ({ url, token }) => {
      const program = fileURLToPath(new URL("../fixtures/socket-client.ts", import.meta.url));
      const env = { ...process.env, TEST_TOKEN: token };
      const child = spawn(process.execPath, [program, url], { stdio: ["pipe", "pipe", "inherit"], env });
      const [port] = (await once(child.stdout, "data")) as [Buffer];
      child.kill("SIGKILL");
      await once(child, "exit");
      return { port: Number(port.toString()), clean: () => {} };
    },
  },
  {
    name: "connection cut by a reset, in the middle of a request",
    deadlineMs: () => 0,
    start: async ({ url, token }) => {
      const socket = await connectRaw(url);
      const port = socket.localPort ?? 0;
      const head = `POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n{`;
      await new Promise((resolve) => socket.write(head, resolve));
      socket.resetAndDestroy();
      return { port, clean: () => {} };
    },
  },
];

const options = { skip: needsWine(), timeout: patiently(120_000) };

describe("a gateway on Windows lets go in time, under wine", options, () => {
  let machine: WindowsMachine;
  let place: Place;
  before(async () => {
    machine = await WindowsMachine.start();
    const gateway = await WindowsGateway.start(machine, {}, { connections });
    place = { url: gateway.url, token: gateway.token, limits: connections };
  });
  after(() => machine[Symbol.asyncDispose]());
  const port = () => Number(new URL(place.url).port);
  const isKept = (clientPort: number) => socketsOf(port()).some(({ remotePort }) => remotePort === clientPort);

  describe("of a client", { concurrency: true }, () => {
    for (const { name, deadlineMs, start } of [...faults, ...more])
      it(name, async () => {
        const { port: clientPort, clean } = await start(place);
        try {
          await until(`${name}: the socket is gone`, () => !isKept(clientPort), {
            boundMs: deadlineMs(connections) + slackMs,
          });
        } finally {
          await clean();
        }
      });
  });

  it("of all clients: no socket is left", async () => {
    await until("no socket is left", () => socketsOf(port()).length === 0, { boundMs: slackMs }).catch(() => {});
    assert.deepEqual(socketsOf(port()), []);
  });
});
