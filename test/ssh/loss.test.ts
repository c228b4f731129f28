/** What runs on a far side ends with its owner here, whichever part of the way between them is lost. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FarSide } from "../helpers/far-side.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { waitForListed, waitForZero } from "../helpers/pids.ts";
import { stubborn } from "../helpers/servers.ts";

const boundMs = 20_000;
const stop = { stdinGraceMs: 200, termGraceMs: 300 };

describe("a server on a far side", { timeout: 120_000 }, () => {
  leavesNothing();
  it("answers, and is gone with its session", async () => {
    await using far = (await FarSide.start()).ownedBy("cgroup");
    await using home = new Home("cgroup");
    const { command, args } = stubborn(home.pidFile);
    home.configure({ mcpServers: { there: { command, args, host: "ssh:far" } }, stop });
    await using gateway = await Gateway.start(home, [], { PATH: `${far.path}:${process.env["PATH"]}` });
    using client = gateway.mcp("there");
    await client.initialize();
    await waitForListed(home.pidFile, 5, boundMs);
    assert.equal(await client.delete(), 204);
    await waitForZero(home.pidFile, 0);
  });
});
