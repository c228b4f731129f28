/** The command of a run is one process: what is shown as its pid is its own, and a signal for it reaches nobody else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Fence } from "../helpers/fence.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";

const boundMs = 10_000;

leavesNothing();

for (const tier of tiersToTest())
  describe(`the command of a run on the ${tier} tier`, () => {
    it("has no pid until it is born, and then its own", async () => {
      await using fence = new Fence(tier);
      for (let round = 0; round < 10; round += 1) {
        const [container, spawned] = await fence.run("sleep", ["1000"]);
        const pid = await until("it is born", () => spawned.mainPid() ?? false, { boundMs });
        await until("it is sleep", () => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n", { boundMs });
        assert.deepEqual([spawned.mainPid(), container.list().map((one) => one.pid)], [pid, [pid]]);
        assert.deepEqual(await container.end(boundMs), []);
      }
    });

    it("is signalled alone; once it is gone, nobody is", async () => {
      await using fence = new Fence(tier);
      const [container, { exit }] = await fence.run("sh", ["-c", "sleep 1000 & exit 0"]);
      assert.equal((await exit).code, 0);
      assert.equal(container.signal("SIGKILL", "main"), false);
      assert.equal(container.list().length, 1, "what it has started lives on");
      assert.deepEqual(await container.end(boundMs), []);
    });
  });
