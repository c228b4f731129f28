/** Whoever empties a fence removes it: when the keeper is killed, that is the guardian, whose own cgroup goes too. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { scriptPath } from "../../src/platform/linux/shell.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { cgroupMount, tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const boundMs = 20_000;

describe("after keeper kill -9", { timeout: patiently(180_000) }, () => {
  leavesNothing();
  if (!tiersToTest().includes("cgroup")) return;

  const runs: [string, object[]][] = [
    ["without a run", []],
    [
      "with runs, one of which has cgroups of its own inside",
      [
        { argv: ["sleep", "1000"] },
        {
          argv: [
            "sh",
            "-c",
            `d=${cgroupMount()?.mount ?? ""}$(sed -n 's/^0:://p' /proc/self/cgroup)/a; mkdir -p $d/b; echo $$ >$d/b/cgroup.procs; sleep 1000`,
          ],
        },
        { argv: ["sh", "-c", "trap '' TERM HUP; setsid sleep 1000 & sleep 1000"], kind: "pty" },
      ],
    ],
  ];
  for (const [what, starts] of runs) {
    it(`no cgroup of the epoch is left, without waiting for a next start (${what})`, async () => {
      await using home = new Home("cgroup");
      home.configure({ exec: { enabled: true } });
      const gateway = await Gateway.start(home, [], {});
      for (const start of starts) await gateway.rpc("run.start", start);
      const base = cgroupMount()?.own ?? "";
      const owner = readFileSync(join(home.stateDir, "owner"), "utf8").trim();
      const left = () => readdirSync(base).filter((name) => name.startsWith(`holdfast-${owner}.`));
      assert.equal(left().length, 2, "the fence and the guardian's own");
      const { pid } = JSON.parse(readFileSync(join(home.stateDir, "keeper.json"), "utf8")) as { pid: number };
      process.kill(pid, "SIGKILL");
      await until("the cgroups are gone", () => left().length === 0, { boundMs });
    });
  }

  it("the guardian takes back what the keeper gave to its children, since else it could not leave", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-guardian-"));
    try {
      const home = join(directory, "guardian");
      mkdirSync(home);
      writeFileSync(join(directory, "cgroup.subtree_control"), "");
      const words = [scriptPath("guardian.sh"), scriptPath("tree.sh"), "/nobody/r1-", "-", home, "memory"];
      const { stdout } = spawnSync("/bin/sh", words, { input: "", encoding: "utf8", timeout: boundMs });
      assert.equal(stdout, "ready\n");
      assert.equal(readFileSync(join(directory, "cgroup.subtree_control"), "utf8"), "-memory\n");
      assert.match(readFileSync(join(directory, "cgroup.procs"), "utf8"), /^\d+\n$/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
