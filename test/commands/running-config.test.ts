/** A server that is added is one that the running gateway gets, wherever its config is. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";

describe("the config that the running gateway reads", { timeout: 120_000 }, () => {
  leavesNothing();

  it("is the one that servers are added to and listed from, and they are served at once", async () => {
    await using home = new Home(bestTier());
    home.configure({ mcpServers: {} });
    await using gateway = await Gateway.start(home);
    // The helper's own --state comes behind the words, where it is the server's.
    const words = ["--state", home.stateDir, "add", "mine", "--", "sh", fixture("light-server.sh")];
    const { code, stderr } = await runCommand(home, words);
    assert.equal(code, 0, stderr);
    assert.match(readFileSync(home.configFile, "utf8"), /"mine"/);
    assert.equal(existsSync(join(home.stateDir, "holdfast.json")), false);
    assert.match((await runCommand(home, ["list"])).stdout, /mine/);
    using client = gateway.mcp("mine");
    await client.initialize();
    assert.equal(await client.delete(), 204);
  });
});
