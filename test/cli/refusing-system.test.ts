/** Where a server could not be held, no config is written in which it would not start, and it is said what works there. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { addServer, importFiles } from "../../src/cli/servers.ts";
import { wrap } from "../../src/cli/wrap.ts";
import { mainFile, runCommand, spawnOnTier } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
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

describe("on a system where holdfast run refuses", { timeout: patiently(60_000) }, () => {
  it("wrap leaves the client's config as it is, and says why and what works", async () => {
    await using home = new Home("subreaper");
    const file = clientFile(home);
    const words = [mainFile, "wrap", "--yes", file, "--state", home.stateDir];
    // An ordinary user has no cgroups of its own, and this insists on them.
    const child = spawnOnTier(home, words, "pipe", { HOLDFAST_TIER: "cgroup" });
    const [stderr] = await Promise.all([text(child.stderr!), text(child.stdout!), once(child, "close")]);
    assert.equal(child.exitCode, 1);
    assert.match(stderr, /`holdfast run` does not work here.*nothing was changed: no cgroup tier here/);
    assert.match(stderr, /what works here: `holdfast connect`/);
    assert.equal(readFileSync(file, "utf8"), config);
    assert.equal(existsSync(`${file}.holdfast-backup`), false);
    const working = await runCommand(home, ["wrap", "--yes", file]);
    assert.equal(working.code, 0, working.stderr);
    assert.notEqual(readFileSync(file, "utf8"), config);
  });

  it("wrap, add and import write nothing on macOS", async () => {
    await using home = new Home("subreaper");
    const [file, own] = [clientFile(home), join(home.directory, "own.json")];
    const context = { state: home.stateDir, config: own, json: true, platform: "darwin" as const };
    const refused = {
      code: "unsupported_platform",
      message: /no containment for darwin.*what works here/,
    };
    const consent = { file, yes: true, dryRun: false };
    await assert.rejects(wrap(context, { ...consent, gateway: false }), refused);
    await assert.rejects(wrap(context, { ...consent, gateway: true }), refused);
    const added = addServer(context, "a", { command: ["sh"], env: [], header: [] });
    await assert.rejects(added, refused);
    await assert.rejects(importFiles(context, { file }, false), refused);
    assert.equal(readFileSync(file, "utf8"), config);
    assert.equal(existsSync(own), false);
  });
});
