/** The gateway and the commands around it, as a person meets them: shapes that others rely on, and errors that say what to do. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive } from "../helpers/pids.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const polite = { command: process.execPath, args: [fixture("polite-server.ts")] };
const stop = { stdinGraceMs: 200, termGraceMs: 200 };

/** One clear message: no stack, exit code 1, and these words. */
function assertRefused(result: { code: number | null; stderr: string }, ...words: RegExp[]): void {
  assert.equal(result.code, 1, result.stderr);
  for (const word of words) assert.match(result.stderr, word);
  assert.doesNotMatch(result.stderr, /\n\s+at |defect/);
}

describe(
  "a gateway that cannot start says why, and nothing is half started",
  { timeout: patiently(120_000), concurrency: 3 },
  () => {
    leavesNothing();

    it("a port in use: the key, the address and the remedy", async () => {
      await using home = new Home(bestTier());
      await using gateway = await Gateway.start(home);
      await using other = new Home(bestTier());
      const { port } = new URL(gateway.url);
      assertRefused(
        await runCommand(other, ["gateway", "--port", port]),
        /`port`/,
        new RegExp(`127\\.0\\.0\\.1 port ${port} is taken`),
        /--port/,
      );
    });

    it("a second gateway on the same state directory: which one is there, and the two ways out", async () => {
      await using home = new Home(bestTier());
      await using gateway = await Gateway.start(home);
      const refused = await runCommand(home, ["gateway", "--port", "0"]);
      assertRefused(refused, new RegExp(`pid ${gateway.pids.keeper}`), /holdfast stop/, /--state DIR/);
      assert.equal(isLive({ pid: gateway.pids.front }), true, "the first one goes on");
      await gateway.rpc("gateway.status");
    });

    it("a state directory that is a file, a token that others may read", async () => {
      await using home = new Home(bestTier());
      const file = join(home.directory, "file");
      writeFileSync(file, "");
      const named = await runCommand(home, ["gateway"], 30_000, file);
      assertRefused(named, /state directory/, /--state DIR/);
      const token = join(home.stateDir, "token");
      writeFileSync(token, "0123456789abcdef0123456789abcdef\n");
      chmodSync(token, 0o644);
      assertRefused(await runCommand(home, ["gateway", "--port", "0"]), /token can be read by others/, /chmod 600/);
    });

    it("a state directory that is something else already, which stays as it is", async () => {
      await using home = new Home(bestTier());
      const used = join(home.directory, "used");
      mkdirSync(used, { mode: 0o755 });
      writeFileSync(join(used, "notes.txt"), "");
      chmodSync(used, 0o755);
      const named = await runCommand(home, ["gateway"], 30_000, used);
      assertRefused(
        named,
        /state directory .*used cannot be used: it has something else in it \(notes\.txt\)/,
        /--state DIR/,
      );
      assert.deepEqual([readdirSync(used), statSync(used).mode & 0o777], [["notes.txt"], 0o755]);
    });

    const configs: [string, string, RegExp[]][] = [
      ["an unknown key", '{ "mcpServers": { "a": { "command": "cat" } }, "prot": 1 }', [/unknown key prot/]],
      ["a bad value", '{ "port": "many" }', [/port/]],
      ["broken JSON", '{\n  "port": 1,,\n}', [/line 2/]],
    ];
    for (const [what, text, words] of configs) {
      it(`a config with ${what}: file, key and remedy`, async () => {
        await using home = new Home(bestTier());
        writeFileSync(home.configFile, text);
        assertRefused(await runCommand(home, ["gateway", "--config", home.configFile]), /holdfast\.json/, ...words);
      });
    }

    it("wrong usage is exit code 2", async () => {
      await using home = new Home(bestTier());
      const mistakes = [
        ["gateway", "--port", "x"],
        ["gateway", "--port", ""],
        ["gateway", "--port", "0x50"],
        ["gateway", "--nonsense"],
        ["nonsense"],
        ["sessions", "end"],
        ["mcp", "nonsense"],
        ["add", "x", "--url", "http://x", "--header", "b@d: y"],
        ["add", "x", "--url", "nonsense"],
        ["completion", "tcsh"],
        ["tokens", "add", "x", "--scopes", "nonsense"],
        ["run", "--nonsense"],
        ["--json", "run", "--", "true"],
        ["--state", "/nowhere", "run", "--", "sh", "-c", "exit 0"],
      ];
      for (const words of mistakes) {
        assert.equal((await runCommand(home, words)).code, 2, words.join(" "));
      }
    });
  },
);

describe("the commands", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();

  it("say that no gateway runs, each of them", async () => {
    await using home = new Home(bestTier());
    for (const words of [["status"], ["ps"], ["sessions", "list"], ["stop"], ["restart"], ["restart", "--all"]]) {
      assertRefused(await runCommand(home, words), /no gateway/);
    }
  });

  it("print the shapes that scripts rely on", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: { polite }, stop });
    await using gateway = await Gateway.start(home);
    using client = gateway.mcp("polite");
    await client.initialize();
    const read = async (words: string[]) =>
      JSON.parse((await runCommand(home, [...words, "--json"])).stdout) as Record<string, unknown>;
    const status = await read(["status"]);
    for (const key of [
      "version",
      "tier",
      "epoch",
      "url",
      "keeper",
      "front",
      "guardian",
      "sessions",
      "runs",
      "orphansSwept",
    ]) {
      assert.ok(key in status, `status has ${key}`);
    }
    assert.deepEqual([status["sessions"], status["runs"]], [1, 1]);
    const [run] = (await read(["ps"])) as unknown as Record<string, unknown>[];
    for (const key of [
      "id",
      "kind",
      "sessionId",
      "scopeKey",
      "host",
      "state",
      "pid",
      "startedAt",
      "command",
      "processes",
    ]) {
      assert.ok(key in (run ?? {}), `a run has ${key}`);
    }
    const [session] = (await read(["sessions", "list"])) as unknown as Record<string, unknown>[];
    for (const key of ["id", "kind", "client", "parentId", "createdAt", "lastSeenAt", "runs"]) {
      assert.ok(key in (session ?? {}), `a session has ${key}`);
    }
    assert.equal(session?.["id"], client.sessionId);
  });

  it("sessions end: the tree is gone when the command is", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: { polite }, stop });
    await using gateway = await Gateway.start(home);
    using client = gateway.mcp("polite");
    await client.initialize();
    const [run] = (await gateway.rpc("run.list", { all: false })) as { processes: { pid: number }[] }[];
    assert.equal((await runCommand(home, ["sessions", "end", client.sessionId ?? ""])).code, 0);
    assert.deepEqual(run?.processes.filter(isLive), []);
    assertRefused(await runCommand(home, ["sessions", "end", "no-such-session"]), /no-such-session/);
  });

  it("stop works while no front answers", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: { polite }, stop, connections: { drainMs: 100 } });
    await using gateway = await Gateway.start(home);
    process.kill(gateway.pids.front, "SIGSTOP");
    assert.equal((await runCommand(home, ["stop"])).code, 0);
    await gateway.ended();
  });

  it("restart replaces the front and nothing else; restart --all keeps the pid and begins a new epoch", async () => {
    await using home = new Home(bestTier());
    await using gateway = await Gateway.start(home);
    const { keeper, front, guardian } = gateway.pids;
    const { epoch } = gateway;
    assert.equal((await runCommand(home, ["restart"])).code, 0);
    await gateway.renewed({ front });
    assert.deepEqual([gateway.pids.keeper, gateway.pids.guardian, gateway.epoch], [keeper, guardian, epoch]);
    assert.equal((await runCommand(home, ["restart", "--all"])).code, 0);
    await gateway.renewed({ keeperEpoch: epoch });
    assert.equal(gateway.pids.keeper, keeper);
    assert.equal(gateway.epoch, epoch + 1);
  });

  it("the token is private, and no line that is printed holds it", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: { polite }, stop });
    await using gateway = await Gateway.start(home);
    const token = join(home.stateDir, "token");
    assert.equal(statSync(token).mode & 0o777, 0o600);
    assert.equal(statSync(home.stateDir).mode & 0o777, 0o700);
    const { stdout } = await runCommand(home, ["status"]);
    const log = readFileSync(join(home.stateDir, "log", "keeper.log"), "utf8");
    for (const text of [home.log, stdout, log]) assert.ok(!text.includes(gateway.token));
    assert.match(home.log, /\$\(cat .*token\)/);
  });
});
