/** Real clients at `/mcp`, where all servers are one: they list, call, and leave nothing. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client as SecondClient, StreamableHTTPClientTransport as SecondTransport } from "@modelcontextprotocol/client";
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as FirstTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { waitForZero } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { asConfig, everything, filesystem } from "../helpers/servers.ts";
import { anyTier } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";
import { Codex } from "./helpers/codex.ts";
import { installClients } from "./helpers/install.ts";
import { boundMs, Place } from "./helpers/place.ts";

leavesNothing();
const { clients, skip } = await installClients();
const tier = anyTier();
const echo = { name: "everything__echo", arguments: { message: "hold" } };
const info = { name: "sdk-client", version: "1.0.0" };

function inspectorFile(): string {
  const manifest = createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: Record<string, string> };
  return join(dirname(manifest), bin["mcp-inspector"] ?? "");
}

describe("clients at /mcp", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let url: string;
  before(async () => {
    home = new Home(tier);
    const servers = { everything: everything(home.pidFile), files: filesystem(home.pidFile, home.directory) };
    home.configure({ mcpServers: asConfig(servers), session: { idleLeaseMs: 1500 } });
    gateway = await Gateway.start(home);
    url = `${gateway.url}/mcp`;
  });
  after(async () => {
    await waitForZero(home.pidFile, boundMs);
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const bearer = () => ({ authorization: `Bearer ${gateway.token}` });

  it("the SDK's Client, v1 and v2, lists the tools of all servers, calls one and reads a resource", async () => {
    const first = new FirstClient(info);
    await first.connect(new FirstTransport(new URL(url), { requestInit: { headers: bearer() } }));
    const second = new SecondClient(info);
    await second.connect(new SecondTransport(new URL(url), { requestInit: { headers: bearer() } }));
    for (const client of [first, second]) {
      const names = (await client.listTools()).tools.map(({ name }) => name);
      assert.ok(names.includes("everything__echo") && names.includes("files__read_text_file"), names.join(" "));
      assert.match(JSON.stringify(await client.callTool(echo)), /Echo: hold/);
      const [resource] = (await client.listResources()).resources;
      assert.match(JSON.stringify(await client.readResource({ uri: resource?.uri ?? "" })), /contents/);
      await client.close();
    }
  });

  it("the Inspector lists and calls", async () => {
    await using place = new Place();
    const there = [inspectorFile(), "--cli", url, "--transport", "http"];
    const header = ["--header", `Authorization: Bearer ${gateway.token}`];
    const { tools } = JSON.parse(
      await place.run(process.execPath, [...there, ...header, "--method", "tools/list"]),
    ) as { tools: { name: string }[] };
    assert.ok(tools.some(({ name }) => name === "everything__echo"));
    const call = ["--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=hold"];
    assert.match(await place.run(process.execPath, [...there, ...header, ...call]), /Echo: hold/);
  });

  it("Claude Code is connected, by address and by `holdfast mcp`", { skip }, async () => {
    await using place = new Place();
    const header = ["--header", `Authorization: Bearer ${gateway.token}`];
    await place.run(clients.claude, ["mcp", "add", "--transport", "http", "by-url", url, ...header]);
    const shim = [process.execPath, mainFile, "mcp", "--state", home.stateDir];
    await place.run(clients.claude, ["mcp", "add", "by-stdio", "--", ...shim]);
    const said = await place.run(clients.claude, ["mcp", "list"]);
    const connected = said.split("\n").filter((line) => line.includes("Connected"));
    assert.deepEqual(new Set(connected.map((line) => line.split(":")[0])), new Set(["by-url", "by-stdio"]), said);
  });

  it("Codex lists the tools of all servers, with who serves them, and calls", { skip }, async () => {
    await using place = new Place();
    const codex = await Codex.start(place, clients.codex, { gateway: { url } }, gateway.token);
    const [status] = await codex.servers();
    assert.equal(status?.serverInfo?.name, "holdfast");
    assert.ok(Object.keys(status?.tools ?? {}).some((name) => name.endsWith("everything__echo")));
    const thread = await codex.startThread(place.directory);
    assert.match(await thread.call("gateway", "everything__echo", { message: "hold" }), /Echo: hold/);
    assert.equal(await codex.end(), 0);
  });
});
