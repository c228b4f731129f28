/** Runs wait for another front, but not for ever. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { statOf, survivorsOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { asConfig, stubborn } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const keepMs = 1500;

/** The front among the children of the keeper, once there is one besides `old`. */
function frontOf(keeper: number, old: number): number | undefined {
  const children = readFileSync(`/proc/${keeper}/task/${keeper}/children`, "latin1").split(" ").map(Number);
  return children.find((pid) => {
    if (pid === 0 || pid === old) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("gateway/main");
    } catch {
      return false; // it ended between the two looks
    }
  });
}

describe("without a front that serves", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("runs are kept for limits.keepMs; then all are ended, the reason is said, and the gateway is gone", async () => {
    await using home = new Home(bestTier());
    const limits = { keepMs, frontStuckMs: 0 };
    const stop = { stdinGraceMs: 200, termGraceMs: 200 };
    // The front that is stopped is waited for at the end.
    const connections = { drainMs: 100 };
    home.configure({ mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }), stop, limits, connections });
    await using gateway = await Gateway.start(home);
    using client = gateway.mcp("stubborn");
    await client.initialize();
    const listed = await waitForListed(home.pidFile, 5, 20_000);
    const { keeper, front } = gateway.pids;
    process.kill(front, "SIGKILL");
    const killedAt = performance.now();
    // The next one never gets to serve: it is stopped while it loads.
    const next = await until("the next front", () => frontOf(keeper, front), { boundMs: 10_000, everyMs: 1 });
    process.kill(next, "SIGSTOP");
    home.hold("front", { pid: next, startTime: statOf(next)?.startTime ?? "" });
    assert.equal(survivorsOf(home.pidFile).length, listed.length, "all live on at first");
    await waitForZero(home.pidFile, 20_000);
    const keptMs = performance.now() - killedAt;
    assert.ok(keptMs >= keepMs, `kept for ${Math.round(keptMs)} ms only`);
    await gateway.ended();
    assert.match(home.log, new RegExp(`no front served within limits\\.keepMs = ${keepMs}`));
  });
});
