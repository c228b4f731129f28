/** Under TLS the raw socket below is still ours: it is released in time, and reset, whatever the layer above it waits for. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import tls from "node:tls";
import { configSchema } from "../../src/config/schema.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { patiently, until } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { closeFrame, connectRaw, frame, opcodes, upgradeText } from "./helpers/frames.ts";
import { socketsOf } from "./helpers/kernel-sockets.ts";

leavesNothing();

const slackMs = 2000;
const limits = {
  ...configSchema.parse({}).connections,
  headMs: 2000,
  authMs: 2000,
  heartbeatMs: 400,
  heartbeatGraceMs: 400,
  slowMs: 600,
  closingMs: 400,
};
const readPem = (name: string) => readFileSync(fixture(`tls/${name}.pem`), "utf8");

describe("the front over TLS lets go in time", { concurrency: true, timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    const config = { connections: limits, tls: { cert: readPem("cert"), key: readPem("key") } };
    keeper = await FakeKeeper.start({ config });
  });
  after(() => keeper[Symbol.asyncDispose]());

  async function upgraded(bearer?: string): Promise<tls.TLSSocket> {
    const plain = await connectRaw(keeper.url);
    const secure = tls.connect({ socket: plain, rejectUnauthorized: false });
    secure.on("error", () => {}); // a reset is what this connection is for
    await once(secure, "secureConnect");
    secure.write(upgradeText(bearer));
    const [head] = (await once(secure, "data")) as [Buffer];
    assert.match(head.toString("latin1"), /^HTTP\/1\.1 101/);
    return secure;
  }

  async function isReleased(clientPort: number, deadlineMs: number): Promise<void> {
    const port = Number(new URL(keeper.url).port);
    const mine = () => socketsOf(port).filter(({ remotePort }) => remotePort === clientPort);
    await until("the kernel has forgotten it", () => mine().length === 0, { boundMs: deadlineMs + slackMs });
  }

  it("of a connection that never begins its handshake", async () => {
    const plain = await connectRaw(keeper.url);
    await isReleased(plain.localPort ?? 0, limits.headMs * 1.4 + limits.closingMs);
    plain.destroy();
  });

  it("of a WebSocket that answers no ping, and of one that never authenticates", async () => {
    for (const [bearer, deadlineMs] of [
      [token, limits.heartbeatMs + limits.heartbeatGraceMs],
      [undefined, limits.authMs + limits.closingMs],
    ] as const) {
      const secure = await upgraded(bearer);
      await isReleased(secure.localPort ?? 0, deadlineMs);
      secure.destroy();
    }
  });

  it("of a WebSocket that never reads", async () => {
    const secure = await upgraded(token);
    secure.pause();
    const params = { data: "x".repeat(60_000) };
    const call = frame(opcodes.text, JSON.stringify({ jsonrpc: "2.0", id: 1, method: "gateway.ping", params }));
    for (let n = 0; n < 200; n++) secure.write(call);
    await isReleased(secure.localPort ?? 0, limits.slowMs);
    secure.destroy();
  });

  it("of a WebSocket that says goodbye and stays", async () => {
    const secure = await upgraded(token);
    secure.write(closeFrame(1000));
    await isReleased(secure.localPort ?? 0, limits.closingMs * 2);
    secure.destroy();
  });
});
