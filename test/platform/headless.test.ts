/** A process whose first thread has ended before the others looks dead and is not: its container ends it, and says so. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Fence } from "../helpers/fence.ts";
import { readUntil } from "../helpers/read-until.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { statOf } from "../helpers/pids.ts";
import { tiersToTest } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

describe("a process whose first thread has ended before the others: a zombie in ps, and yet alive", () => {
  leavesNothing();
  for (const tier of tiersToTest())
    it(`is listed and ended on the ${tier} tier`, { timeout: patiently(60_000) }, async () => {
      await using fence = new Fence(tier);
      const script = `
        const { createRequire } = require("node:module");
        const system = createRequire(${JSON.stringify(fileURLToPath(import.meta.url))})("koffi").load(null);
        require("node:fs").writeSync(1, "ready " + process.pid + "\\n");
        system.func("long syscall(long number, ...)")(process.arch === "arm64" ? 93 : 60, "int", 0);`;
      const [container, { stdout }] = await fence.run(process.execPath, ["-e", script]);
      const pid = Number(/ready (\d+)/.exec(await readUntil(stdout, "\n"))?.[1]);
      await until("its first thread is dead", () => statOf(pid)?.state === "Z", { boundMs: 5000 });
      assert.ok(readdirSync(`/proc/${pid}/task`).length > 1, "the others live");
      assert.equal(container.looksEmpty(), false);
      assert.deepEqual(
        container.list().map((member) => member.pid),
        [pid],
      );
      assert.deepEqual(await container.end(10_000), []);
      await until("it is gone", () => !existsSync(`/proc/${pid}`), { boundMs: 5000 });
    });
});
