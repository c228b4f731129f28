/** `wrap --gateway`, `unwrap` after it, and `connect`: on a running gateway, without its token in any file or on any screen. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { meaningOf } from "../../src/config/clients/document.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { giveTo, launchOn } from "../helpers/tiers.ts";

const json = `{
  // mine
  "mcpServers": {
    "a": { "command": "sh", "args": ["-c", "exit"] }, // a
    "web": { "url": "https://example.com" },
    "b": { "command": "true", "timeout": 5 },
    "no good": { "command": "true", "cwd": 7 }
  }
}
`;
const toml = `model = "x"
[mcp_servers.t]
command = "true" # t
[mcp_servers.t.env]
K = "v"
[mcp_servers.web]
url = "https://example.com"
# the second
[mcp_servers.u]
command = "true"
[projects."/p"]
trust_level = "trusted"
`;

/** The home's commands run as another user on the tier that needs no rights. */
function put(home: Home, file: string, text: string): void {
  writeFileSync(file, text);
  giveTo(home.tier, file);
}

/** What the client's entry answers first, for the home's user. */
async function initialize(home: Home, command: string, args: string[]): Promise<string> {
  const { prefix, identity, env } = launchOn(home.tier);
  const [program = "", ...words] = [...prefix, command, ...args];
  const child = spawn(program, words, {
    ...identity,
    env: { PATH: process.env["PATH"], HOME: home.directory, ...env },
    stdio: ["pipe", "pipe", "ignore"],
    timeout: 20_000,
  });
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })}\n`);
  const closed = once(child, "close");
  let first = "";
  for await (const line of createInterface({ input: child.stdout })) {
    first = line;
    break;
  }
  child.stdin.end();
  await closed;
  return first;
}

/** With the prototypes of literals. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

// Outside, so that it looks once the gateway is gone.
leavesNothing();

describe("holdfast wrap --gateway", () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home("subreaper");
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  it("moves what the gateway can hold into its config, leaves the rest, and unwrap puts it back to the byte", async () => {
    const files = { json: join(home.directory, "mcp.json"), toml: join(home.directory, "config.toml") };
    put(home, files.json, json);
    put(home, files.toml, toml);
    const wrap = (file: string) => runCommand(home, ["wrap", file, "--gateway", "--yes", "--config", home.configFile]);
    const elsewhere = join(home.directory, "relative.json");
    put(home, elsewhere, JSON.stringify({ mcpServers: { here: { command: "sh", args: ["./server.sh"] } } }));
    const planned = await runCommand(home, ["wrap", elsewhere, "--gateway", "--dry-run", "--config", home.configFile]);
    assert.match(planned.stdout, /here: .*\.\/server\.sh is relative to where the client starts it/);
    for (const file of Object.values(files)) {
      const { code, stderr } = await wrap(file);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /has them now, and the gateway too/);
    }
    const way = {
      command: process.execPath,
      args: [mainFile, "--state", home.stateDir, "mcp"],
    };
    const said = plain(meaningOf(readFileSync(files.json, "utf8"), "json")) as { mcpServers: object };
    assert.deepEqual(said.mcpServers, {
      holdfast: way,
      web: { url: "https://example.com" },
      "no good": { command: "true", cwd: 7 },
    });
    const codex = plain(meaningOf(readFileSync(files.toml, "utf8"), "toml"));
    assert.deepEqual(codex, {
      model: "x",
      mcp_servers: { holdfast: way, web: { url: "https://example.com" } },
      projects: { "/p": { trust_level: "trusted" } },
    });
    assert.match(readFileSync(files.toml, "utf8"), /# the second/);
    const own = JSON.parse(readFileSync(home.configFile, "utf8")) as { mcpServers: object };
    assert.deepEqual(own.mcpServers, {
      a: { command: "sh", args: ["-c", "exit"] },
      b: { command: "true", requestTimeoutMs: 5000 },
      t: { command: "true", env: { K: "v" } },
      u: { command: "true" },
    });
    assert.match((await wrap(files.json)).stdout, /nothing to change/);
    // What leads to this gateway would be its own server, and start itself without end.
    const ways = {
      a: way,
      b: { command: "holdfast", args: ["run", "--", "holdfast", "mcp"] },
      c: { url: `${gateway.url}/mcp` },
    };
    put(home, elsewhere, JSON.stringify({ mcpServers: ways }));
    const imported = await runCommand(home, ["import", elsewhere, "--config", home.configFile]);
    assert.equal(imported.code, 1);
    assert.match(imported.stdout, /0 servers added, 0 there already, 3 refused/);
    assert.match(await initialize(home, way.command, way.args), /"serverInfo":\{"name":"holdfast"/);
    for (const [file, old] of [
      [files.json, json],
      [files.toml, toml],
    ] as const) {
      assert.equal((await runCommand(home, ["unwrap", file, "--yes"])).code, 0);
      assert.equal(readFileSync(file, "utf8"), old);
    }
  });

  it("a file that was changed since gets its servers back beside the change; a new server is left", async () => {
    const file = join(home.directory, "changed.json");
    put(home, file, json);
    assert.equal((await runCommand(home, ["wrap", file, "--gateway", "--yes", "--config", home.configFile])).code, 0);
    const changed = readFileSync(file, "utf8").replace('"no good"', '"new": { "command": "x" },\n    "no good"');
    writeFileSync(file, changed);
    assert.equal((await runCommand(home, ["unwrap", file, "--yes"])).code, 0);
    const old = (plain(meaningOf(json, "json")) as { mcpServers: object }).mcpServers;
    const now = plain(meaningOf(readFileSync(file, "utf8"), "json")) as { mcpServers: object };
    assert.deepEqual(now.mcpServers, { ...old, new: { command: "x" } });

    const connected = await runCommand(home, ["connect"]);
    assert.equal(connected.code, 0, connected.stderr);
    const { token } = gateway;
    const everything = [
      connected.stdout,
      ...readdirSync(home.directory)
        .filter((name) => name.startsWith("changed.json"))
        .map((name) => readFileSync(join(home.directory, name), "utf8")),
    ];
    for (const text of everything) assert.ok(!text.includes(token));
    const claude = connected.stdout.split("\n").find((line) => line.startsWith("claude ")) ?? "";
    // A shell that has another program under the name shows what the client would be given.
    const heard = spawnSync("sh", ["-c", `claude() { printf '%s\\n' "$@"; }; ${claude}`], { encoding: "utf8" });
    assert.deepEqual(heard.stdout.split("\n").slice(-4), [
      `${gateway.url}/mcp`,
      "--header",
      `Authorization: Bearer ${token}`,
      "",
    ]);
  });

  it("that may not write the client's file leaves its own config alone too", async () => {
    const file = join(home.directory, "locked.json");
    put(home, file, json.replace('"a"', '"z"')); // z is new to the gateway
    chmodSync(file, 0o444);
    const own = readFileSync(home.configFile, "utf8");
    const { code, stderr } = await runCommand(home, ["wrap", file, "--gateway", "--yes", "--config", home.configFile]);
    assert.equal(code, 1);
    assert.match(stderr, /read-only/);
    assert.deepEqual(
      [readFileSync(file, "utf8"), readFileSync(home.configFile, "utf8")],
      [json.replace('"a"', '"z"'), own],
    );
  });

  it("without a gateway changes nothing and says so", async () => {
    const file = join(home.directory, "alone.json");
    put(home, file, json);
    const nowhere = join(home.directory, "nowhere");
    const { code, stderr } = await runCommand(home, ["wrap", file, "--gateway", "--yes"], 30_000, nowhere);
    assert.equal(code, 1);
    assert.match(stderr, /no gateway/);
    assert.equal(readFileSync(file, "utf8"), json);
  });
});
