/**
 * A gateway that cannot open its record of nodes does not know its own identity: it lets none of them in, for a node that met
 * another identity would end for good. Once the file can be opened it goes on by itself.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readdirSync, renameSync, rmdirSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { subprotocol } from "../../src/protocol/node/messages.ts";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { McpClient } from "../helpers/mcp-client.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { isHere, joinNode } from "./helpers/join-node.ts";

const boundMs = 20_000;

/** The status with which the gateway answers a node that knocks. */
async function dialled(url: string): Promise<number | undefined> {
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": Buffer.alloc(16).toString("base64"),
    "sec-websocket-protocol": subprotocol,
  };
  const request = http.get(`${url}/node`, { headers, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "close");
  return response.statusCode;
}

leavesNothing();

describe("a gateway that cannot open its record of nodes", { timeout: patiently(60_000) }, () => {
  it("lets no node in and says why, and has its nodes back once it can", async () => {
    const config = { nodes: { leaseMs: 30_000 }, exec: { enabled: true }, tools: { nodes: "run" } };
    await using home = new Home(bestTier(), config);
    const first = await Gateway.start(home);
    await using _node = await joinNode(first, "mill");
    await first.stop();
    home.configure({ ...config, port: Number(new URL(first.url).port) });
    const front = join(home.stateDir, "front");
    const files = readdirSync(front).filter((name) => name.startsWith("nodes.db"));
    for (const name of files) renameSync(join(front, name), join(home.directory, name));
    mkdirSync(join(front, "nodes.db"));
    await using gateway = await Gateway.start(home);
    const runs = new Background(gateway);
    const unknown = /record of this gateway's nodes cannot be opened/;
    await assert.rejects(runs.call("node.list", {}), unknown);
    await assert.rejects(runs.call("node.invite", {}), unknown);
    await assert.rejects(runs.call("run.start", { host: "mill", argv: ["true"] }), unknown);
    assert.equal(await dialled(gateway.url), 503);
    assert.equal((await runs.call("gateway.status", {})).nodes.absent, 0);
    using client = new McpClient(`${gateway.url}/mcp`, gateway.token);
    await client.initialize();
    assert.match(JSON.stringify(await client.call("nodes", { action: "status" })), unknown, "the tool says so, too");
    assert.equal((await runs.call("run.start", { argv: ["true"] })).host, "local", "the rest works");
    rmdirSync(join(front, "nodes.db"));
    for (const name of files) renameSync(join(home.directory, name), join(front, name));
    const areKnown = () =>
      runs.call("node.list", {}).then(
        () => true,
        () => false,
      );
    await until("nodes are known", areKnown, { boundMs });
    assert.equal((await runs.call("gateway.status", {})).front.restarts, 1);
    await isHere(gateway, "mill");
  });
});
