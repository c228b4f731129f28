/** `resolveNpx`: what npx would run is installed once and run without npx; what cannot be is left to npx, and said. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import { readNpxWords } from "../../src/keeper/packages/npx-words.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import type { McpClient } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { Registry } from "../helpers/registry.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();
const boundMs = 20_000;
const shell = readFileSync(fixture("light-server.sh"), "utf8");
const javaScript = `#!/usr/bin/env node
require("node:child_process").spawn("sh", ["-c", ${JSON.stringify(shell.replace(/^#!.*\n/, ""))}], { stdio: "inherit" });
`;

interface Status {
  name: string;
  packages: string[];
  notices: string[];
}

describe("resolveNpx", { timeout: patiently(120_000) }, () => {
  let registry: Registry;
  let home: Home;
  let gateway: Gateway;

  const server = (args: string[], more: object = {}) => ({ command: "npx", args, resolveNpx: true, ...more });
  const publish = (name: string, version: string, text = shell) =>
    registry.publish({ name, version, bin: { "a-server": "server" }, files: { server: text } });

  before(async () => {
    registry = await Registry.start();
    home = new Home(bestTier());
    const env = { npm_config_registry: registry.url };
    // Stands for npx where it is left to: tests must not need its network.
    const bin = join(home.directory, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "npx"), `#!/bin/sh\n# $*\nexec sh ${fixture("light-server.sh")}\n`, { mode: 0o755 });
    const besideNpx = { ...env, PATH: `${bin}:${process.env["PATH"]}` };
    const project = join(home.directory, "project");
    mkdirSync(join(project, "node_modules/nearby"), { recursive: true });
    const bad = { command: "npx", resolveNpx: true, env: besideNpx };
    home.configure({
      mcpServers: {
        plain: server(["-y", "@scope/plain@1.0.0", "--flag"], { env }),
        pooled: server(["-y", "pooled"], { env, share: "pool" }),
        script: server(["-y", "-p", "script@^1.0.0", "a-script", "x"], { env }),
        "script-npx": server(["-y", "-p", "script@^1.0.0", "a-script", "x"], { env, resolveNpx: false }),
        doomed: server(["-y", "doomed"], { env }),
        slow: server(["-y", "slow"], { env }),
        late: server(["-y", "late"], { env, connectionTimeoutMs: 1000 }),
        missing: { ...bad, args: ["-y", "missing"] },
        nearby: { ...bad, args: ["nearby@1"], cwd: project },
        call: { ...bad, args: ["-c", "anything at all"] },
      },
      stop: { stdinGraceMs: 200, termGraceMs: 500 },
    });
    publish("@scope/plain", "1.0.0");
    publish("pooled", "1.0.0");
    publish("slow", "1.0.0");
    publish("late", "1.0.0");
    publish("doomed", "1.0.0");
    registry.publish({
      name: "script",
      version: "1.2.3",
      bin: { "a-script": "lib/a.js", other: "other.js" },
      files: { "lib/a.js": javaScript, "other.js": "process.exit(1)" },
    });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await home?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  const opened = async (name: string): Promise<McpClient> => {
    const client = gateway.mcp(name);
    await client.initialize();
    const { result } = await client.call("echo", { message: "hold" });
    assert.ok(result);
    return client;
  };
  const runsOf = async (name: string) =>
    ((await gateway.rpc("run.list")) as RunView[]).filter((run) => run.server === name);
  const sessionsOf = async (name: string) =>
    ((await gateway.rpc("session.list")) as { server: string | null }[]).filter((session) => session.server === name);
  const statusOf = async (name: string) =>
    ((await gateway.rpc("mcp.status")) as Status[]).find((status) => status.name === name)!;
  const halfDone = () => readdirSync(join(home.stateDir, "packages")).filter((name) => name.startsWith("tmp-"));
  const fetchesOf = (name: string) => registry.fetched.filter((each) => each === name).length;

  it("installs a package once for all who start it at once, and runs its program as the only process", async () => {
    const clients = await Promise.all([opened("plain"), opened("plain"), opened("plain")]);
    const runs = await runsOf("plain");
    assert.equal(runs.length, 3);
    for (const { command, processes } of runs) {
      assert.match(command, /packages\/[0-9a-f-]+\/node_modules\/@scope\/plain\/server --flag$/);
      assert.equal(processes.length, 1, JSON.stringify(processes));
    }
    const all = (await gateway.rpc("run.list", { all: true })) as RunView[];
    assert.equal(all.filter(({ command }) => command === "npm install @scope/plain@1.0.0").length, 1);
    assert.equal(fetchesOf("@scope/plain"), 1);
    assert.deepEqual((await statusOf("plain")).packages, ["@scope/plain@1.0.0"]);
    await Promise.all(clients.map((client) => client.delete()));
    const again = await opened("plain");
    assert.equal(fetchesOf("@scope/plain"), 1);
    await again.delete();
    assert.deepEqual(halfDone(), []);
  });

  it("chooses the program that npx would, and runs JavaScript by node", async () => {
    const client = await opened("script");
    const [run] = await runsOf("script");
    assert.match(run!.command, /^node \S+\/node_modules\/script\/lib\/a\.js x$/);
    assert.deepEqual((await statusOf("script")).packages, ["script@1.2.3"]);
    await client.delete();
  });

  it("leaves to npx what it cannot install or does not understand, and says so once", async () => {
    for (const [name, why] of [
      ["missing", /npm could not install missing: .*E404/],
      ["call", /option -c$/],
      ["nearby", /nearby is installed in /],
    ] as const) {
      for (let round = 0; round < 2; round++) {
        const client = await opened(name);
        assert.deepEqual(
          (await runsOf(name)).map(({ command }) => command.split(" ")[0]),
          ["npx"],
        );
        await client.delete();
      }
      const { packages, notices } = await statusOf(name);
      assert.deepEqual(packages, []);
      assert.match(notices.join(), why);
      const log = readFileSync(join(home.stateDir, "log/keeper.log"), "utf8");
      const said = log
        .split("\n")
        .filter((line) => line.includes('"package.unresolved"') && line.includes(`"${name}"`));
      assert.equal(said.length, 1);
    }
    const { stdout } = await runCommand(home, ["mcp", "status"]);
    assert.match(stdout, /^missing {2}stdio\n {2}resolveNpx: npm could not install missing/m);
  });

  it("ends an installation with the last session that waits for it, and nothing of it is left", async () => {
    registry.isStalled = true;
    const clients = [gateway.mcp("slow"), gateway.mcp("slow")];
    const starts = clients.map((client) => client.initialize().catch(() => "given up"));
    await until("npm waits for the archive", () => registry.waiting === 1, { boundMs });
    const [npm] = await runsOf("slow");
    assert.match(npm!.command, /^npm install slow$/);
    assert.equal(halfDone().length, 1);
    clients[0]?.vanish();
    assert.equal(await starts[0], "given up");
    await until("one session is left", async () => (await sessionsOf("slow")).length === 1, { boundMs });
    assert.equal((await runsOf("slow")).length, 1, "the other one still waits");
    clients[1]?.vanish();
    await until("nothing is left", async () => (await runsOf("slow")).length === 0 && halfDone().length === 0, {
      boundMs,
    });
    registry.resume();
    const client = await opened("slow");
    assert.match((await runsOf("slow"))[0]!.command, /node_modules\/slow\/server$/);
    await client.delete();
  });

  it("gives a start no more time than the server's own, and says what is slow", async () => {
    registry.isStalled = true;
    await assert.rejects(opened("late"), /connectionTimeoutMs/);
    await until("npm is ended", async () => (await runsOf("late")).length === 0 && halfDone().length === 0, {
      boundMs,
    });
    registry.resume();
  });

  it("saves two processes and the memory of npm", async (t) => {
    const cost = async (name: string) => {
      const client = await opened(name);
      const { processes } = (await runsOf(name))[0]!;
      const megabytes = processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0) / 1e6;
      t.diagnostic(`${name}: ${processes.length} processes, ${megabytes.toFixed(0)} MB`);
      await client.delete();
      return { count: processes.length, megabytes };
    };
    const [resolved, byNpx] = [await cost("script"), await cost("script-npx")];
    assert.equal(byNpx.count, resolved.count + 2);
    assert.ok(byNpx.megabytes > 1.5 * resolved.megabytes);
  });

  it("installs anew when it is told to, and keeps what it has when that fails", async () => {
    const first = await opened("pooled");
    assert.deepEqual((await statusOf("pooled")).packages, ["pooled@1.0.0"]);
    await first.delete();
    publish("pooled", "1.1.0");
    const refreshed = await runCommand(home, ["mcp", "refresh", "pooled"]);
    assert.match(refreshed.stdout, /pooled: the next start installs pooled again/);
    const second = await opened("pooled");
    assert.deepEqual(await statusOf("pooled").then(({ packages }) => packages), ["pooled@1.1.0"]);
    await second.delete();
    await gateway.rpc("mcp.refresh", { server: "pooled" });
    // Otherwise npm would do without a network.
    rmSync(join(home.directory, ".npm"), { recursive: true });
    registry.isDown = true;
    const third = await opened("pooled");
    registry.isDown = false;
    const { packages, notices } = await statusOf("pooled");
    assert.deepEqual(packages, ["pooled@1.1.0"]);
    assert.match(notices.join(), /could not install pooled: .*; what was installed before is used/);
    await third.delete();
  });

  it("ends an installation with its keeper, and the next one clears away what was half done", async () => {
    registry.isStalled = true;
    const client = gateway.mcp("doomed");
    const start = client.initialize().catch(() => "given up");
    await until("npm waits for the archive", () => registry.waiting === 1, { boundMs });
    process.kill(gateway.pids.keeper, "SIGKILL");
    await gateway.ended();
    await start;
    client.vanish();
    await until("npm is gone", () => registry.waiting === 0, { boundMs });
    registry.resume();
    gateway = await Gateway.start(home);
    assert.equal(halfDone().length, 1);
    await (await opened("plain")).delete();
    assert.deepEqual(halfDone(), []);
    assert.ok(existsSync(join(home.stateDir, "packages")));
  });
});

describe("the words of npx", () => {
  const cases: [string, string, object | RegExp][] = [
    ["npx", "-y a@1 --x -p b", { packages: ["a@1"], bin: undefined, args: ["--x", "-p", "b"] }],
    ["npx", "@s/a", { packages: ["@s/a"], bin: undefined, args: [] }],
    [
      "/opt/node/bin/npx",
      "--yes --package=a -p @s/b@next tool -v",
      { packages: ["a", "@s/b@next"], bin: "tool", args: ["-v"] },
    ],
    ["npx", "-y -- a -c", { packages: ["a"], bin: undefined, args: ["-c"] }],
    ["npm", "exec -y -- a --x", { packages: ["a"], bin: undefined, args: ["--x"] }],
    ["npm", "x a y -- -z", { packages: ["a"], bin: undefined, args: ["y", "-z"] }],
    ["npm", "exec a --x", /option --x/],
    ["npx", "-c whatever", /option -c/],
    ["npx", "--no-install a", /option --no-install/],
    ["npx", "./a.js", /not a package of the registry/],
    ["npx", "github:a/b", /not a package of the registry/],
    ["npx", "a@npm:b@1", /not a package of the registry/],
    ["npx", "a.tgz", /not a package of the registry/],
    ["npx", "-p a@b.tar.gz c", /not a package of the registry/],
    ["npx", "a@..", /not a package of the registry/],
    ["npx", "a.tgz.js@1.0.0-rc.1", { packages: ["a.tgz.js@1.0.0-rc.1"], bin: undefined, args: [] }],
    ["npx", "-y", /no package/],
    ["npm", "run a", /not npm exec/],
    ["node", "a.js", /is not npx/],
  ];
  for (const [command, words, expected] of cases)
    it(`${command} ${words}`, () => {
      const read = readNpxWords(command, words.split(" "));
      if (expected instanceof RegExp) assert.match("refused" in read ? read.refused : "understood", expected);
      else assert.deepEqual(read, { ...expected, options: [] });
    });
});
