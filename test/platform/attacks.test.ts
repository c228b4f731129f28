/** Whatever a tree does to hide, its container ends it and the kernel says so. Counted from the list that it wrote itself. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Fence, readUntil } from "../helpers/fence.ts";
import { needs, needsNamespace, needsRoot } from "../helpers/needs.ts";
import { attackScript } from "../helpers/servers.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, readListed, settle, statOf } from "../helpers/pids.ts";
import { tiersToTest, type TierName } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";

/** Name, processes at least, and the tiers on which it can be tried. */
const attacks: [name: string, processes: number, only?: TierName][] = [
  ["group", 2],
  ["setsid", 2],
  ["double-fork", 2],
  ["cleared", 2],
  ["cleared-double-fork", 2],
  ["disowned", 2],
  ["own-subreaper", 3],
  ["stopped", 2],
  ["deaf", 2],
  ["chain", 20],
  ["chains", 40],
  ["pid-namespace", 2],
  ["holds-stdout", 2],
  ["zombie-parent", 2],
  ["wide", 1001],
  ["deep", 201],
  ["other-uid", 2],
  ["frozen", 2, "cgroup"], // only who may write cgroupfs can freeze itself
];

function attackSkip(name: string): string | false {
  if (name === "pid-namespace") return needsNamespace("pid");
  if (name === "other-uid") return needsRoot("another user's process") || needs("setpriv");
  return name === "frozen" && needs("awk");
}

for (const tier of tiersToTest()) {
  describe(`on the ${tier} tier, stop leaves nothing of a tree`, () => {
    leavesNothing();
    for (const [name, processes, only] of attacks) {
      if (only !== undefined && only !== tier) continue;
      it(`that hides by: ${name}`, { timeout: 60_000, skip: attackSkip(name) }, async () => {
        await using fence = new Fence(tier);
        const [container, { stdout }] = await fence.run("bash", [attackScript, name, fence.pidFile, fence.launcher]);
        assert.ok(stdout !== null);
        await readUntil(stdout, "ready");
        assert.ok(readListed(fence.pidFile).length >= processes, `only ${readListed(fence.pidFile).length} listed`);
        assert.equal(container.looksEmpty(), false, "the tree is alive before it is ended");
        const left = await container.end(10_000);
        const { survivors } = await settle(fence.pidFile, 1000);
        await killWhatIsLeft(fence.pidFile);
        assert.deepEqual(survivors, []);
        assert.deepEqual(left, []);
        assert.equal(container.looksEmpty(), true);
      });
    }

    it(
      "whose first thread has ended before the others: a zombie in ps, and yet alive",
      { timeout: 60_000 },
      async () => {
        await using fence = new Fence(tier);
        const script = `
        const { createRequire } = require("node:module");
        const system = createRequire(${JSON.stringify(fileURLToPath(import.meta.url))})("koffi").load(null);
        require("node:fs").writeSync(1, "ready " + process.pid + "\\n");
        system.func("long syscall(long number, ...)")(process.arch === "arm64" ? 93 : 60, "int", 0);`;
        const [container, { stdout }] = await fence.run(process.execPath, ["-e", script]);
        const pid = Number(/ready (\d+)/.exec(await readUntil(stdout!, "\n"))?.[1]);
        await until("its first thread is dead", () => statOf(pid)?.state === "Z", { boundMs: 5000 });
        assert.ok(readdirSync(`/proc/${pid}/task`).length > 1, "the others live");
        assert.equal(container.looksEmpty(), false);
        assert.deepEqual(
          container.list().map((member) => member.pid),
          [pid],
        );
        assert.deepEqual(await container.end(10_000), []);
        await until("it is gone", () => !existsSync(`/proc/${pid}`), { boundMs: 5000 });
      },
    );
  });
}
