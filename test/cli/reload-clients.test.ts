/** A reload of the config as clients hear of it that are not plain HTTP sessions; and SIGHUP where it means another thing. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { runsOf } from "../helpers/crowd.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { actorFile, heardOf } from "../mcp/helpers/assembled.ts";
import { StatelessTalk, textIn } from "../mcp/helpers/stateless.ts";

leavesNothing();
const boundMs = 20_000;
const actor = (name: string) => ({ command: process.execPath, args: [actorFile, name, "do"] });

describe("a reload of the config", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  const names = (tools: { name: string }[]) => tools.map(({ name }) => name);
  const write = (...servers: string[]) =>
    home.configure({ mcpServers: Object.fromEntries(servers.map((name) => [name, actor(name)])) });

  before(async () => {
    home = new Home(bestTier());
    write("keep");
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  it("is told to a client over stdio and to a stateless one that listens; both keep what is as it was", async () => {
    const client = new Client({ name: "reload", version: "1" });
    const changed = Promise.withResolvers<void>();
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changed.resolve());
    const args = [mainFile, "mcp", "--state", home.stateDir];
    await client.connect(new StdioClientTransport({ command: process.execPath, args, env: { HOME: home.directory } }));
    const pid = async () => JSON.stringify((await client.callTool({ name: "keep__do", arguments: {} })).content);
    const stateless = new StatelessTalk(`${gateway.url}/mcp`, { bearer: gateway.token });
    const [own, theirs] = [await pid(), textIn(await stateless.call("keep__do"))];
    using events = await stateless.stream("subscriptions/listen", { notifications: { toolsListChanged: true } });
    await heardOf(events, "notifications/subscriptions/acknowledged");

    write("keep", "fresh");
    await gateway.rpc("mcp.reload");
    await Promise.all([changed.promise, heardOf(events, "notifications/tools/list_changed")]);
    assert.deepEqual(names((await client.listTools()).tools), ["keep__do", "fresh__do"]);
    const { tools } = (await stateless.request("tools/list")).message.result as { tools: { name: string }[] };
    assert.deepEqual(names(tools), ["keep__do", "fresh__do"]);
    assert.deepEqual([await pid(), textIn(await stateless.call("keep__do"))], [own, theirs]);

    write();
    await gateway.rpc("mcp.reload");
    await heardOf(events, "notifications/tools/list_changed");
    assert.equal(await runsOf(gateway), 0);
    await client.close();
  });

  it(
    "is not what SIGHUP means to a gateway on a terminal: it ends, as its terminal does",
    { skip: needs("script") },
    async () => {
      await using another = new Home(bestTier());
      another.configure({});
      const words = [
        process.execPath,
        mainFile,
        "gateway",
        "--state",
        another.stateDir,
        "--config",
        another.configFile,
      ];
      const terminal = spawn("script", ["-qec", words.join(" "), "/dev/null"], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { PATH: process.env["PATH"], HOME: another.directory },
      });
      let said = "";
      terminal.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
      const closed = once(terminal, "close");
      await until("it listens", () => said.includes("listens on"), { boundMs });
      const { pid } = JSON.parse(readFileSync(join(another.stateDir, "keeper.json"), "utf8")) as { pid: number };
      process.kill(pid, "SIGHUP");
      await closed;
      assert.match(said, /stopping on SIGHUP/);
      assert.equal(terminal.exitCode, 0);
    },
  );
});
