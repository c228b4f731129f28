/** One server that something is missing for is unavailable, with its reason everywhere a person looks; all others are served. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Gateway, mainFile, runCommand, spawnOnTier } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";
import { actorFile, callText, namesOf } from "./helpers/assembled.ts";
import { Talk } from "./helpers/talk.ts";
import { once } from "node:events";

leavesNothing();

const actor = (name: string) => ({ command: process.execPath, args: [actorFile, name, "do"] });
interface Lacking {
  name: string;
  problem: string;
}

/** What each lacks, and what its problem must say. */
const lacking = new Map(
  Object.entries<[server: unknown, says: RegExp]>({
    program: [
      { command: "no-such-program" },
      /^mcpServers\.program\.command: no-such-program is not a program .*; install it/,
    ],
    directory: [
      { ...actor("x"), cwd: "/nowhere/at/all" },
      /^mcpServers\.directory\.cwd: \/nowhere\/at\/all is not a directory; make it/,
    ],
    variable: [
      { ...actor("x"), env: { KEY: "${HOLDFAST_NOT_SET}" } },
      /^mcpServers\.variable\.env\.KEY: the variable HOLDFAST_NOT_SET is not set; .*\$\{HOLDFAST_NOT_SET:-value\}/,
    ],
    bearer: [
      { url: "http://127.0.0.1:1/mcp", bearerTokenEnv: "HOLDFAST_NOT_SET" },
      /^mcpServers\.bearer\.bearerTokenEnv: the variable HOLDFAST_NOT_SET holds no token/,
    ],
    address: [{ url: "far.example" }, /^mcpServers\.address\.url: far\.example is not an http or https URL/],
    form: [
      { command: 7, args: "x" },
      /^mcpServers\.form\.command: expected text, found a number; mcpServers\.form\.args: expected a list/,
    ],
    text: ["npx x", /^mcpServers\.text: expected an object, found text/],
  }),
).set("constructor", [{ command: "no-such-program" }, /^mcpServers\.constructor\.command: no-such-program/]);

describe("a config with servers that something is missing for", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let program = "";
  const config = () => ({
    late: { command: program, args: [actorFile, "late", "do"] },
    ...Object.fromEntries([...lacking].map(([name, [server]]) => [name, server])),
    good: actor("good"),
  });

  before(async () => {
    home = new Home(bestTier());
    program = join(home.directory, "late-program");
    writeFileSync(home.configFile, JSON.stringify({ port: 0, mcpServers: config() }));
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const enter = async (path: string) => {
    const talk = new Talk(`${gateway.url}${path}`, gateway.token);
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };
    const answer = await talk.post({ jsonrpc: "2.0", id: 0, method: "initialize", params });
    talk.session = answer.headers["mcp-session-id"] as string;
    return { talk, answer };
  };

  it("is served, and each of them is named with what is missing and how to mend it", async () => {
    const { unavailableServers } = (await gateway.rpc("gateway.status")) as { unavailableServers: Lacking[] };
    const problems = new Map(unavailableServers.map(({ name, problem }) => [name, problem]));
    assert.deepEqual([...problems.keys()].toSorted(), ["late", ...lacking.keys()].toSorted());
    for (const [name, [, says]] of lacking) assert.match(problems.get(name) ?? "", says);
    const status = await runCommand(home, ["status"]);
    assert.match(status.stdout, /unavailable {2}program: mcpServers\.program\.command: no-such-program/);
    const ofMcp = await runCommand(home, ["mcp", "status"]);
    assert.match(ofMcp.stdout, /^directory {2}unavailable: mcpServers\.directory\.cwd/m);
    const list = await runCommand(home, ["--config", home.configFile, "mcp", "list"]);
    assert.match(list.stdout, /^variable is unavailable: .*HOLDFAST_NOT_SET is not set/m);
    assert.match(home.log, /server program is unavailable: mcpServers\.program\.command/);
    const events = readFileSync(join(home.stateDir, "log", "keeper.log"), "utf8").split("\n");
    for (const name of lacking.keys())
      assert.ok(
        events.some((line) => line.includes('"server.unavailable"') && line.includes(`"server":"${name}"`)),
        name,
      );
  });

  it("answers calls to such a server with its reason, and has its name but not its tools on /mcp", async () => {
    for (const [name, [, says]] of lacking) {
      const { answer } = await enter(`/mcp/${name}`);
      const { error } = JSON.parse(answer.text) as { error: { message: string; data: { code: string } } };
      assert.deepEqual([answer.status, error.data.code], [503, "server_down"], name);
      assert.match(error.message.replace(`MCP server "${name}" is unavailable: `, ""), says);
    }
    const { talk, answer } = await enter("/mcp");
    const { instructions } = JSON.parse(answer.text).result as { instructions: string };
    assert.match(instructions, /# Unavailable servers[^]*- program: mcpServers\.program\.command: no-such-program/);
    assert.deepEqual(await namesOf(talk), ["good__do"]);
    assert.match(await callText(talk, "good__do"), /^good:\d+$/);
    await talk.delete();
    const probed = await runCommand(home, ["mcp", "probe", "directory"]);
    assert.equal(probed.code, 1);
    assert.match(probed.stderr, /"directory" is unavailable: mcpServers\.directory\.cwd/);
  });

  it("has a server back on demand once its program is there, and without it again after a reload", async () => {
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`);
    chmodSync(program, 0o755);
    const { talk } = await enter("/mcp/late");
    assert.match(await callText(talk, "do"), /^late:\d+$/);
    await talk.delete();
    rmSync(program);
    const change = (await gateway.rpc("mcp.reload")) as {
      changed: string[];
      unavailable: Lacking[];
      unchanged: string[];
    };
    assert.deepEqual(change.changed, ["late"]);
    assert.ok(change.unchanged.includes("good"));
    assert.match(
      change.unavailable.find(({ name }) => name === "late")?.problem ?? "",
      /late-program is not a program/,
    );
    mkdirSync(program); // a directory is no program either
    const { answer } = await enter("/mcp/late");
    assert.equal(answer.status, 503);
    rmSync(program, { recursive: true });
  });

  it("is added to by a command that says on stderr what is missing", async () => {
    const words = ["--config", home.configFile, "add", "later", "--", "no-such-tool"];
    const added = await runCommand(home, words);
    assert.equal(added.code, 0, added.stderr);
    assert.match(
      added.stderr,
      /later cannot be started yet: mcpServers\.later\.command: no-such-tool is not a program .*install it/,
    );
    const file = join(home.directory, "theirs.json");
    writeFileSync(file, JSON.stringify({ mcpServers: { theirs: { command: "no-such-import" } } }));
    const imported = await runCommand(home, ["--config", home.configFile, "import", file]);
    assert.equal(imported.code, 0, imported.stderr);
    assert.match(imported.stderr, /theirs cannot be started yet: mcpServers\.theirs\.command: no-such-import/);
  });

  it("refuses a file that cannot be read as JSON, and keeps what it had", async () => {
    const text = readFileSync(home.configFile, "utf8");
    writeFileSync(home.configFile, `${text.slice(0, -2)} "x" }`);
    await assert.rejects(gateway.rpc("mcp.reload"), /line 1, column \d+: a comma is missing/);
    writeFileSync(home.configFile, text);
    const { talk } = await enter("/mcp/good");
    assert.match(await callText(talk, "do"), /^good:\d+$/);
    await talk.delete();
  });

  it("is refused by a gateway that was started with --strict", async () => {
    const other = new Home(bestTier());
    writeFileSync(other.configFile, JSON.stringify({ port: 0, mcpServers: { x: { command: "no-such-program" } } }));
    const words = [mainFile, "gateway", "--strict", "--state", other.stateDir, "--config", other.configFile];
    const child = spawnOnTier(other, ["--disable-sigusr1", ...words], "log");
    await once(child, "exit");
    assert.equal(child.exitCode, 1);
    assert.match(other.log, /mcpServers\.x\.command: no-such-program is not a program that can be run/);
    await other[Symbol.asyncDispose]();
  });
});

describe("a server that does not answer", { timeout: patiently(60_000) }, () => {
  it("is named wherever a person or a model looks, from the first list that it kept waiting", async () => {
    const mcpServers = { good: actor("good"), mute: { command: "sleep", args: ["1000"] } };
    await using home = new Home(bestTier(), { mcpServers, limits: { listMs: 300 } });
    await using gateway = await Gateway.start(home);
    const begin = async () => {
      const talk = new Talk(`${gateway.url}/mcp`, gateway.token);
      const { text } = await talk.initialize();
      await namesOf(talk);
      return text;
    };
    await begin();
    const { silentServers } = (await gateway.rpc("gateway.status")) as { silentServers: { name: string }[] };
    assert.ok(silentServers.some(({ name }) => name === "mute"));
    assert.match((await runCommand(home, ["status"])).stdout, /silent +mute: no answer for/);
    assert.match((await runCommand(home, ["mcp", "status"])).stdout, /^mute {2}stdio.*, no answer for/m);
    assert.match(await begin(), /# Unavailable servers[^]*- mute: it has not answered yet; its tools are announced/);
    const headers = { authorization: `Bearer ${gateway.token}` };
    const metrics = await (await fetch(`${gateway.url}/metrics`, { headers })).text();
    assert.match(metrics, /^holdfast_mcp_server_down\{server="mute",reason="silent"\} 1$/m);
  });
});
