/** A run inherits its own three streams and nothing of the keeper's: a PTY or pipe held open elsewhere never closes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { readdirSync, readlinkSync } from "node:fs";

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => `${fd} -> ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
}

describe("descriptors", { timeout: 60_000 }, () => {
  leavesNothing();
  for (const tier of tiersToTest()) {
    it(`on the ${tier} tier a run has no descriptor of the keeper, whatever the keeper has open`, async () => {
      await using home = new Home(tier);
      // A server that sleeps under a shell: what it inherited stays to be seen.
      const mcpServers = { polite: { command: process.execPath, args: [fixture("polite-server.ts")] } };
      home.configure({ mcpServers });
      await using gateway = await Gateway.start(home);
      using first = gateway.mcp("polite");
      using second = gateway.mcp("polite");
      // One after the other: the second is spawned while the first's pipes, the ledger, the log and the front's are open.
      await first.initialize();
      await second.initialize();
      const held = descriptorsOf(gateway.pids.keeper);
      assert.ok(held.length > 15, "the keeper has much open");
      const shared = new Set(
        held
          .map((each) => each.split(" -> ")[1])
          .filter((target) => /^(pipe|socket):|ledger|keeper\.log/.test(target ?? "")),
      );
      const runs = (await gateway.rpc("run.list", { all: false })) as { processes: { pid: number }[] }[];
      const members = runs.flatMap(({ processes }) => processes.map(({ pid }) => pid));
      assert.equal(members.length, 2);
      for (const pid of members) {
        const leaked = descriptorsOf(pid).filter((each) => shared.has(each.split(" -> ")[1] ?? ""));
        assert.deepEqual(leaked, [], `of pid ${pid}`);
      }
    });
  }
});
