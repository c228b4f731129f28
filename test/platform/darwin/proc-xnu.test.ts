/** The kernel that tests play over /proc obeys the rules of XNU that the code for macOS relies on. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { cgroupMount } from "../../helpers/tiers.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { ProcXnu } from "../../helpers/proc-xnu.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { until } from "../../helpers/until.ts";

leavesNothing();

/** A parent and its child, which runs another program when it gets SIGUSR1. */
const family = `sh -c '
  sh -c "trap \\"exec sleep 1000\\" USR1; echo ready; while :; do sleep 0.01; done" &
  echo "child $!"; sleep 1000' &
  echo "parent $!"; wait`;

const bound = { boundMs: 5000 };

async function withFamily(play: (xnu: ProcXnu, parent: number, child: number) => Promise<void>): Promise<void> {
  const top = spawn("sh", ["-c", family], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], SAMPLE: "one" },
    detached: true,
  });
  try {
    let said = "";
    while (!/^child \d+\n/m.test(said) || !/^parent \d+\n/m.test(said) || !said.includes("ready"))
      said += await readUntil(top.stdout, "\n");
    const [parent, child] = ["parent", "child"].map((name) =>
      Number(new RegExp(`^${name} (\\d+)$`, "m").exec(said)?.[1]),
    );
    assert.ok(parent !== undefined && child !== undefined);
    await play(new ProcXnu({ restricted: ["sleep"] }), parent, child);
  } finally {
    process.kill(-(top.pid ?? assert.fail()), "SIGKILL");
    await once(top, "close");
  }
}

describe("XNU over /proc", { skip: process.platform !== "linux" && "there is no /proc" }, () => {
  it("names a process, and its parent, for as long as it lives", () =>
    withFamily(async (xnu, parent, child) => {
      const own = xnu.process(child) ?? assert.fail();
      assert.equal(own.ppid, parent);
      assert.equal(own.parentUniqueId, xnu.process(parent)?.uniqueId);
      assert.notEqual(own.uniqueId, own.parentUniqueId);
      assert.equal(xnu.process(child)?.uniqueId, own.uniqueId);
      assert.ok(xnu.pids().includes(child));
      assert.equal(xnu.session(child), xnu.session(parent));
    }));

  it("makes an orphan a child of process 1, which remembers who forked it until it runs another program", () =>
    withFamily(async (xnu, parent, child) => {
      const before = xnu.process(child) ?? assert.fail();
      const target = xnu.process(parent) ?? assert.fail();
      assert.equal(xnu.signal({ ...target, uniqueId: target.uniqueId + 1n }, "SIGKILL"), false, "another one's id");
      assert.equal(xnu.process(parent)?.uniqueId, target.uniqueId);
      assert.equal(xnu.signal(target, "SIGKILL"), true);
      await until("it is an orphan", () => xnu.process(child)?.ppid === 1, bound);
      const orphan = xnu.process(child);
      assert.deepEqual([orphan?.parentUniqueId, orphan?.pidVersion], [before.parentUniqueId, before.pidVersion]);
      assert.equal(xnu.signal(before, "SIGUSR1"), true);
      await until("it runs another program", () => xnu.process(child)?.pidVersion !== before.pidVersion, bound);
      const after = xnu.process(child);
      assert.deepEqual([after?.uniqueId, after?.parentUniqueId], [before.uniqueId, xnu.process(1)?.uniqueId]);
    }));

  it("withholds the environment of restricted programs, and never their arguments", () =>
    withFamily(async (xnu, _, child) => {
      assert.ok(xnu.arguments(child)?.environment.includes("SAMPLE=one"));
      const own = xnu.process(child) ?? assert.fail();
      xnu.signal(own, "SIGUSR1");
      await until("it runs another program", () => xnu.arguments(child)?.argv[0] === "sleep", bound);
      assert.deepEqual(xnu.arguments(child), { argv: ["sleep", "1000"], environment: [] });
    }));

  it("counts a coalition's tasks", { skip: cgroupMount() === undefined && "no cgroup v2" }, () =>
    withFamily(async (xnu, parent, child) => {
      const coalition = xnu.coalition(child) ?? assert.fail();
      assert.equal(xnu.coalition(parent), coalition);
      const { started, exited } = xnu.coalitionTasks(coalition) ?? assert.fail();
      assert.ok(started - exited >= 3n, "the family and this process");
      assert.equal(xnu.coalitionTasks(coalition + (1n << 60n)), undefined);
    }),
  );
});
