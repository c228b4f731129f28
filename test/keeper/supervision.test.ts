/** The keeper's helpers may die; what they did not finish is finished, and how they died is on record. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, statOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { asConfig, stubborn } from "../helpers/servers.ts";
import { bestTier, tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const stop = { stdinGraceMs: 200, termGraceMs: 200 };

interface Status {
  front: { pid: number; restarts: number };
  guardian: { pid: number; restarts: number };
  crashes: {
    who: string;
    pid: number;
    signal: string | null;
    exitCode: number | null;
    file: string;
    lastMethod: string | null;
  }[];
  reconciled: string[];
}

describe("supervision", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  for (const tier of tiersToTest()) {
    it(`on the ${tier} tier a guardian that is killed is replaced, and the new one does the work`, async () => {
      await using home = new Home(tier);
      home.configure({ mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }), stop });
      await using gateway = await Gateway.start(home);
      const first = gateway.pids.guardian;
      process.kill(first, "SIGKILL");
      const replaced = async () => {
        const { guardian } = (await gateway.rpc("gateway.status")) as Status;
        return guardian.pid !== first && isLive(guardian) ? guardian : undefined;
      };
      const guardian = await until("another guardian", replaced, { boundMs: 10_000 });
      home.hold("guardian", { pid: guardian.pid, startTime: statOf(guardian.pid)?.startTime ?? "" });
      const { crashes } = (await gateway.rpc("gateway.status")) as Status;
      assert.equal(crashes.find((crash) => crash.pid === first)?.signal, "SIGKILL");

      using client = gateway.mcp("stubborn");
      await client.initialize();
      await waitForListed(home.pidFile, 5, 20_000);
      process.kill(gateway.pids.keeper, "SIGKILL");
      await waitForZero(home.pidFile, 10_000);
      await until("the new guardian has ended", () => !isLive(guardian), { boundMs: 10_000 });
    });
  }

  it("a front that dies is recorded with its signal and last method, and shown by status", async () => {
    await using home = new Home(bestTier());
    await using gateway = await Gateway.start(home);
    const { front } = gateway.pids;
    process.kill(front, "SIGSEGV");
    await gateway.renewed({ front });
    const { crashes, front: now } = (await gateway.rpc("gateway.status")) as Status;
    assert.equal(now.restarts, 1);
    const crash = crashes.find(({ pid }) => pid === front);
    assert.equal(crash?.signal, "SIGSEGV");
    assert.equal(crash?.lastMethod, "rpc gateway.status");
    const record = JSON.parse(readFileSync(crash?.file ?? "", "utf8")) as { stderr: string };
    assert.equal(typeof record.stderr, "string");
    const { stdout } = await runCommand(home, ["status"]);
    assert.match(stdout, /SIGSEGV/);
  });

  it("a front that keeps dying ends the gateway: every run gone, exit code 1, the reason said", async () => {
    await using home = new Home(bestTier());
    const limits = { frontRestartsMax: 2, frontRestartWindowMs: 60_000 };
    home.configure({ mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }), stop, limits });
    await using gateway = await Gateway.start(home);
    using client = gateway.mcp("stubborn");
    await client.initialize();
    await waitForListed(home.pidFile, 5, 20_000);
    for (let kills = 0; kills < 2; kills += 1) {
      const { front } = gateway.pids;
      process.kill(front, "SIGKILL");
      await gateway.renewed({ front });
    }
    process.kill(gateway.pids.front, "SIGKILL");
    await gateway.ended();
    await waitForZero(home.pidFile, 10_000);
    assert.match(home.log, /the front died too often/);
  });
});

describe("reconcile at start", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("never signals a stranger that a row names, whatever was written into the ledger", async () => {
    await using home = new Home(bestTier());
    const first = await Gateway.start(home);
    await first.stop();
    const stranger = spawn("sleep", ["1000"], { stdio: "ignore" });
    try {
      const startTime = statOf(stranger.pid ?? 0)?.startTime ?? "";
      const ledger = new DatabaseSync(join(home.stateDir, "ledger.sqlite"));
      const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
      const insert = ledger.prepare(`insert into runs (id, kind, host, command, command_hash, pid, start_time, boot_id,
        container, marker, policy, state, started_at, epoch) values (?, 'mcp', 'local', 'x', 'x', ?, ?, ?, ?, 'x', 'kill', 'running', 0, 1)`);
      // Its true identity, a wrong one, another boot's, and a container that is not ours.
      insert.run("r1-00000001", stranger.pid ?? 0, startTime, bootId, "guard:x");
      insert.run("r1-00000002", stranger.pid ?? 0, "1", bootId, "guard:x");
      insert.run("r1-00000003", stranger.pid ?? 0, startTime, "another-boot", "guard:x");
      insert.run("r1-00000004", stranger.pid ?? 0, startTime, bootId, "/sys/fs/cgroup");
      ledger.close();
      await using again = await Gateway.start(home);
      const { reconciled } = (await again.rpc("gateway.status")) as Status;
      assert.equal(isLive({ pid: stranger.pid ?? 0, startTime }), true, "the stranger lives");
      assert.ok(
        reconciled.some((word) => word.includes("r1-00000001") && word.includes("left alone")),
        reconciled.join("\n"),
      );
      assert.ok(
        reconciled.some((word) => word.includes("r1-00000003") && word.includes("restarted")),
        reconciled.join("\n"),
      );
      const all = (await again.rpc("run.list", { all: true })) as { id: string; state: string }[];
      assert.deepEqual(
        all.map(({ state }) => state),
        ["exited", "exited", "exited", "exited"],
      );
    } finally {
      stranger.kill("SIGKILL");
      await once(stranger, "exit");
    }
  });

  it("a ledger that is none is refused with what to do, and nothing is started", async () => {
    await using home = new Home(bestTier());
    const first = await Gateway.start(home);
    await first.stop();
    const { writeFileSync } = await import("node:fs");
    writeFileSync(
      join(home.stateDir, "ledger.sqlite"),
      "this is no database, it only looks like a file of some length",
    );
    const { code, stderr } = await runCommand(home, ["gateway", "--port", "0"]);
    assert.equal(code, 1);
    assert.match(stderr, /ledger.*move it away/);
    assert.doesNotMatch(stderr, /\n\s+at /, "no stack trace");
  });
});
