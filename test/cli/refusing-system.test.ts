/** Where a server could not be held, no config is written in which it would not start, and it is said what works there. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { mainFile, runCommand, spawnOnTier } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { flagsToPlay, played } from "../helpers/played-system.ts";
import { giveTo } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();
const config = '{ "mcpServers": { "a": { "command": "sh", "args": ["-c", "cat"] } } }';

function clientFile(home: Home): string {
  const file = join(home.directory, "client.json");
  writeFileSync(file, config);
  giveTo(home.tier, file);
  return file;
}

async function play(home: Home, flags: string[], words: string[], env: Record<string, string> = {}) {
  const child = spawnOnTier(home, [...flags, mainFile, "--state", home.stateDir, ...words], "pipe", env);
  const [stderr, stdout] = await Promise.all([text(child.stderr!), text(child.stdout!), once(child, "close")]);
  return { code: child.exitCode, stdout, stderr };
}

describe("on a system where holdfast run refuses", { timeout: patiently(60_000) }, () => {
  it("wrap leaves the client's config as it is, and says why and what works", async () => {
    await using home = new Home("subreaper");
    const file = clientFile(home);
    // An ordinary user has no cgroups of its own, and this insists on them.
    const { code, stderr } = await play(home, [], ["wrap", "--yes", file], { HOLDFAST_TIER: "cgroup" });
    assert.equal(code, 1);
    assert.match(stderr, /`holdfast run` does not work here.*nothing was changed: no cgroup tier here/);
    assert.match(stderr, /what works here: `holdfast connect --url URL`/);
    assert.equal(readFileSync(file, "utf8"), config);
    assert.equal(existsSync(`${file}.holdfast-backup`), false);
    const working = await runCommand(home, ["wrap", "--yes", file]);
    assert.equal(working.code, 0, working.stderr);
    assert.notEqual(readFileSync(file, "utf8"), config);
  });
});

const withoutFence = {
  "a system without a backend": [played.freebsd, /no containment for freebsd/],
  "a Linux that is too old": [played.oldLinux, /no containment on this machine: .*no subreaper tier: Linux 4\.19\.0/],
} as const;

for (const [what, [system, reason]] of Object.entries(withoutFence)) {
  describe(`on ${what}`, { timeout: patiently(120_000) }, () => {
    const flags = flagsToPlay(system);

    it("wrap, wrap --gateway, add, mcp add and import write nothing, without a question, and say what works", async () => {
      await using home = new Home("subreaper");
      const own = join(home.directory, "own.json");
      const file = clientFile(home);
      const before = readdirSync(home.directory).toSorted();
      for (const words of [
        ["wrap", file],
        ["wrap", "--yes", file],
        ["wrap", "--gateway", "--yes", file],
        ["--config", own, "add", "a", "--", "sh"],
        ["--config", own, "mcp", "add", "a", "--url", "https://example.com/mcp"],
        ["--config", own, "import", file],
      ]) {
        const { code, stdout, stderr } = await play(home, flags, words);
        assert.equal(code, 1, `${words.join(" ")}: ${stdout}${stderr}`);
        assert.match(stderr, reason, words.join(" "));
        assert.match(stderr, /nothing was written; what works here: `holdfast connect --url URL`/, words.join(" "));
        assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
      }
      assert.equal(readFileSync(file, "utf8"), config);
      assert.deepEqual(readdirSync(home.directory).toSorted(), before);
    });

    it("--dry-run shows the change of each, and that it would be refused", async () => {
      await using home = new Home("subreaper");
      const file = clientFile(home);
      for (const words of [
        ["wrap", "--dry-run", file],
        ["wrap", "--gateway", "--dry-run", file],
        ["import", "--dry-run", file],
      ]) {
        const { code, stdout, stderr } = await play(home, flags, words);
        assert.equal(code, 0, `${words.join(" ")}: ${stdout}${stderr}`);
        assert.match(stdout, /^ {2}\S*a: .*nothing was written \(--dry-run\)/ms, words.join(" "));
        assert.match(stderr, /^holdfast: without --dry-run this is refused: /, words.join(" "));
        assert.match(stderr, reason, words.join(" "));
      }
      assert.equal(readFileSync(file, "utf8"), config);
    });

    it("unwrap undoes what another system's wrap wrote, and export and remove work", async () => {
      await using home = new Home("subreaper");
      const file = clientFile(home);
      assert.equal((await runCommand(home, ["wrap", "--yes", file])).code, 0);
      assert.notEqual(readFileSync(file, "utf8"), config);
      const { code, stderr } = await play(home, flags, ["unwrap", "--yes", file]);
      assert.deepEqual([code, stderr, readFileSync(file, "utf8")], [0, "", config]);
      const exported = await play(home, flags, ["--config", file, "export", "--client", "claude"]);
      assert.deepEqual([exported.code, exported.stderr], [0, ""]);
      const removed = await play(home, flags, ["--config", file, "remove", "a"]);
      assert.deepEqual([removed.code, removed.stderr], [0, ""]);
    });

    it("connect prints lines that lead to another machine's gateway, and what they need", async () => {
      await using home = new Home("subreaper");
      const url = "http://gateway.example:4653";
      const { code, stdout, stderr } = await play(home, flags, ["--url", url, "connect"]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /claude mcp add --transport http holdfast http:\/\/gateway\.example:4653\/mcp/);
      assert.match(stdout, /copilot mcp add holdfast -- .*--url http:\/\/gateway\.example:4653 mcp$/m);
      assert.match(stderr, /token is missing.*`holdfast tokens add NAME`/);
      const alone = await play(home, flags, ["connect"]);
      assert.equal(alone.code, 1);
      assert.match(alone.stderr, /no gateway runs on the state directory.*--url/);
    });
  });
}
