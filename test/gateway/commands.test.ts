/** The commands that speak to a running gateway say what is, do what they say, and never touch a process that is not it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import type { McpClient } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, statOf } from "../helpers/pids.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier, root } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();

const mcpServers = { polite: { command: process.execPath, args: [fixture("polite-server.ts")] } };

describe("with a gateway", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let client: McpClient;
  before(async () => {
    home = new Home(bestTier(), { mcpServers });
    gateway = await Gateway.start(home);
    client = gateway.mcp("polite");
    await client.initialize();
  });
  after(async () => {
    client.vanish();
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const run = async (...words: string[]) => {
    const { code, stdout, stderr } = await runCommand(home, words);
    assert.equal(code, 0, stderr + stdout);
    return stdout;
  };
  const read = async (...words: string[]) => JSON.parse(await run(...words, "--json")) as never;

  it("status says what runs, for people and for programs", async () => {
    const status: { url: string; tier: string; sessions: number; runs: number; front: { pid: number } } =
      await read("status");
    assert.deepEqual([status.url, status.tier, status.sessions, status.runs], [gateway.url, home.tier, 1, 1]);
    assert.equal(status.front.pid, gateway.pids.front);
    const [, page = ""] = readFileSync(join(root, "docs/api.md"), "utf8").split("\n### Status\n");
    const [section = ""] = page.split("\n#");
    for (const key of Object.keys(status)) assert.match(section, new RegExp(`^${key}: `, "m"), "docs/api.md");
    const said = await run("status");
    assert.match(said, new RegExp(`containment +${home.tier}`));
    assert.match(said, new RegExp(`keeper +pid ${gateway.pids.keeper}, [0-9.]+ MB`));
  });

  it("ps draws session, run and processes, and lists them for programs", async () => {
    const [listed]: { id: string; sessionId: string; processes: { pid: number; rssBytes: number }[] }[] =
      await read("ps");
    assert.equal(listed?.sessionId, client.sessionId);
    const [leader] = listed?.processes ?? [];
    assert.ok((leader?.rssBytes ?? 0) > 0);
    const said = (await run("ps")).split("\n");
    assert.match(said[0] ?? "", new RegExp(`^session ${client.sessionId}  holdfast-test 1\\.0\\.0  on polite`));
    assert.match(said[1] ?? "", new RegExp(`^└─ run ${listed?.id}  polite  running  1 process, [0-9.]+ MB`));
    assert.match(said[2] ?? "", new RegExp(`^   └─ ${leader?.pid}  [A-Z]  [0-9.]+ MB `));
  });

  it("every command for background runs says the same when they are off", async () => {
    const state = ["--state", home.stateDir];
    for (const words of [
      ["exec", ...state, "--background", "--", "true"],
      ["exec", ...state, "--host", "ssh:far", "--", "true"],
      ["process", "poll", "r1-00000000"],
      ["attach", "r1-00000000"],
      ["logs", "r1-00000000"],
    ]) {
      const { code, stderr } = await runCommand(home, words);
      assert.equal(code, 1, stderr);
      assert.match(
        stderr,
        /background runs are off; set "exec": \{"enabled": true\} in the config, then `holdfast restart --all`/,
      );
    }
  });

  it("a wrong token is told so, and no stack is shown", async () => {
    const { code, stderr } = await runCommand(home, ["status", "--token", "wrong"]);
    assert.equal(code, 1);
    assert.match(stderr, /bearer token is wrong/);
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
});

describe("after a gateway", { timeout: patiently(60_000) }, () => {
  it("stop does not signal a stranger who got the pid of a gateway that is gone", async () => {
    await using home = new Home(bestTier(), { mcpServers });
    const gateway = await Gateway.start(home);
    const record = JSON.parse(readFileSync(join(home.stateDir, "keeper.json"), "utf8")) as Record<string, unknown>;
    await gateway.stop();
    const stranger = spawn("sleep", ["60"], { stdio: "ignore" });
    try {
      const startTime = statOf(stranger.pid ?? 0)?.startTime;
      const otherTime = { ...record, pid: stranger.pid };
      const otherBoot = { ...record, pid: stranger.pid, startTime, bootId: "another" };
      for (const forged of [otherTime, otherBoot]) {
        writeFileSync(join(home.stateDir, "keeper.json"), JSON.stringify(forged));
        const { code, stderr } = await runCommand(home, ["stop"]);
        assert.equal(code, 1);
        assert.match(stderr, /no gateway runs/);
      }
      assert.equal(isLive({ pid: stranger.pid ?? 0 }), true);
    } finally {
      stranger.kill("SIGKILL");
      await once(stranger, "exit");
    }
  });
});
