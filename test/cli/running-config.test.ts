/** Servers are added to the config that the running gateway reads, wherever it is, and the gateway takes them at once. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runsOf } from "../helpers/crowd.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

describe("the config that the running gateway reads", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("is the one that servers are added to, listed from and removed from; what it refuses is taken back", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: {} });
    await using gateway = await Gateway.start(home);
    // The helper's own --state comes behind the words, where it is the server's.
    const holdfast = (...words: string[]) => runCommand(home, ["--state", home.stateDir, ...words]);
    const text = () => readFileSync(home.configFile, "utf8");
    const empty = text();
    const refused = await holdfast("mcp", "add", "bad", "--url", "http://x", "--header", "b@d: x");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /"b@d" is not the name of a header/);
    assert.equal(text(), empty);

    const added = await holdfast("mcp", "add", "mine", "--", "sh", fixture("light-server.sh"));
    assert.equal(added.code, 0, added.stderr);
    assert.match(added.stdout, /the gateway took it: added: mine/);
    assert.match(text(), /"mine"/);
    assert.equal(existsSync(join(home.stateDir, "holdfast.json")), false);
    const listed = await holdfast("mcp", "list");
    assert.match(listed.stdout, /^mine /m);
    assert.equal((await holdfast("list")).stdout, listed.stdout);
    using client = gateway.mcp("mine");
    await client.initialize();
    assert.equal(await runsOf(gateway), 1);

    const { code, stdout } = await holdfast("remove", "mine", "--json");
    assert.equal(code, 0);
    const reloaded = { added: [], removed: ["mine"], changed: [], unchanged: [], needsRestart: [], unavailable: [] };
    assert.deepEqual(JSON.parse(stdout), { file: home.configFile, reloaded });
    assert.equal(await runsOf(gateway), 0, "it was gone before the answer");
    assert.equal(await client.delete(), 404);
  });

  it("counts the servers that were unavailable before, and names only what the added one lacks", async () => {
    await using home = new Home(bestTier());
    const lacking = { command: "no-such-program" };
    home.configure({ mcpServers: { old: lacking, older: lacking } });
    await using _ = await Gateway.start(home);
    const { code, stdout, stderr } = await runCommand(home, ["--state", home.stateDir, "add", "new", "--", "not-here"]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /new cannot be started yet: mcpServers\.new\.command: not-here is not a program/);
    assert.match(stdout, /^the gateway took it: 2 other servers unavailable; see `holdfast mcp status`$/m);
    assert.doesNotMatch(stdout + stderr, /no-such-program/);
    const status = JSON.parse((await runCommand(home, ["status", "--json"])).stdout) as {
      unavailableServers: { name: string }[];
    };
    assert.deepEqual(status.unavailableServers.map(({ name }) => name).toSorted(), ["new", "old", "older"]);
  });
});
