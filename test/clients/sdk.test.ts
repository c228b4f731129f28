/** The MCP SDK's own clients at a gateway, both generations: what their host sees when the session's idle lease is over. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as FirstTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client as SecondClient, StreamableHTTPClientTransport as SecondTransport } from "@modelcontextprotocol/client";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { waitForZero } from "../helpers/pids.ts";
import { asConfig, everything } from "../helpers/servers.ts";
import { anyTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { NoStreamRelay } from "./helpers/no-stream.ts";
import { boundMs } from "./helpers/place.ts";

const tier = anyTier();
const idleLeaseMs = 1000;
const echo = { name: "echo", arguments: { message: "hold" } };
const info = { name: "sdk-client", version: "1.0.0" };

interface Connected {
  echo(): Promise<unknown>;
  close(): Promise<void>;
}

const connects: Record<string, (url: URL, init: RequestInit) => Promise<Connected>> = {
  async v1(url, requestInit) {
    const client = new FirstClient(info);
    await client.connect(new FirstTransport(url, { requestInit }));
    return { echo: () => client.callTool(echo), close: () => client.close() };
  },
  async v2(url, requestInit) {
    const client = new SecondClient(info);
    await client.connect(new SecondTransport(url, { requestInit }));
    return { echo: () => client.callTool(echo), close: () => client.close() };
  },
};

describe("the MCP SDK's Client at a gateway", { timeout: patiently(60_000), concurrency: 2 }, () => {
  leavesNothing();
  for (const [version, connect] of Object.entries(connects)) {
    it(`${version}: after its idle lease a call is refused with 404, and a new connection works`, async () => {
      await using home = new Home(tier);
      home.configure({ mcpServers: asConfig({ everything: everything(home.pidFile) }), session: { idleLeaseMs } });
      await using gateway = await Gateway.start(home);
      await using relay = await NoStreamRelay.start(gateway.url);
      const url = new URL(`${relay.url}/mcp/everything`);
      const requestInit = { headers: { authorization: `Bearer ${gateway.token}` } };
      const first = await connect(url, requestInit);
      assert.match(JSON.stringify(await first.echo()), /Echo: hold/);
      const isIdle = async () => ((await gateway.rpc("session.list")) as unknown[]).length === 0;
      await until("the lease is over", isIdle, { boundMs, everyMs: 50 });
      await waitForZero(home.pidFile, boundMs);
      await assert.rejects(first.echo(), (error: Error & { code?: unknown; status?: unknown }) => {
        assert.match(`${error.message} ${String(error.code)} ${String(error.status)}`, /404/);
        return true;
      });
      await first.close();
      const second = await connect(url, requestInit);
      assert.match(JSON.stringify(await second.echo()), /Echo: hold/);
      await second.close();
    });
  }
});
