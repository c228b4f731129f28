/**
 * What is asked of the kernel's controllers and read from them. Imitated by files with the kernel's names and formats: the
 * machines that this is tested on have the `memory` and `pids` controllers in cgroup v1, if at all.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { delegateControllers, kernelExcess, setKernelLimits } from "../../src/platform/linux/kernel-limits.ts";
import { describeExcess, excessOf } from "../../src/keeper/limit-watch.ts";
import { scriptPath } from "../../src/platform/linux/shell.ts";
import type { Container } from "../../src/platform/types.ts";
import { needs } from "../helpers/needs.ts";

class Imitation implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-controllers-"));

  constructor(files: Record<string, string>) {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.directory, name), text);
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

const quiet = {
  "memory.max": "max\n",
  "memory.swap.max": "max\n",
  "memory.oom.group": "0\n",
  "memory.events": "low 0\nhigh 0\nmax 17\noom 0\noom_kill 0\noom_group_kill 0\n",
  "pids.max": "max\n",
  "pids.events": "max 0\n",
};

it("limits are written where there are controllers: memory as it is, for the whole tree and without swap; threads for processes", () => {
  using leaf = new Imitation(quiet);
  assert.deepEqual(setKernelLimits(leaf.directory, { memoryBytesMax: 1_000_000, processesMax: 10 }), [
    "memory",
    "processes",
  ]);
  const written = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max"].map((name) => leaf.read(name));
  assert.deepEqual(written, ["1000000", "0", "1", "320"]);
  using other = new Imitation(quiet);
  assert.deepEqual(setKernelLimits(other.directory, {}), []);
  assert.equal(other.read("pids.max"), "max\n");
  using bare = new Imitation({});
  assert.deepEqual(setKernelLimits(bare.directory, { memoryBytesMax: 1, processesMax: 1 }), []);
});

it("what the kernel has done about a limit is an excess, reclaim is none", () => {
  using leaf = new Imitation(quiet);
  assert.equal(kernelExcess(leaf.directory), undefined);
  using starved = new Imitation({ ...quiet, "memory.events": "max 17\noom 1\noom_kill 3\n" });
  assert.match(describeExcess(kernelExcess(starved.directory)!), /out of memory/);
  using refused = new Imitation({ ...quiet, "pids.events": "max 4\n" });
  assert.match(describeExcess(kernelExcess(refused.directory)!), /a fork was refused/);
  using bare = new Imitation({});
  assert.equal(kernelExcess(bare.directory), undefined);
  const container = { list: () => [], excess: () => kernelExcess(refused.directory) } as unknown as Container;
  assert.match(describeExcess(excessOf(container, { processesMax: 9 })!), /a fork was refused/);
  assert.equal(excessOf(container, {}), undefined, "a tree without limits has none to exceed");
});

it("children are given the controllers that are there and not given yet", () => {
  using group = new Imitation({ "cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "cpu memory\n" });
  assert.deepEqual(delegateControllers(group.directory), ["pids"]);
  assert.equal(group.read("cgroup.subtree_control"), "+pids");
  using without = new Imitation({ "cgroup.controllers": "hugetlb\n", "cgroup.subtree_control": "\n" });
  assert.deepEqual(delegateControllers(without.directory), []);
});

for (const shell of [["dash"], ["bash"], ["busybox", "sh"]] as const) {
  it(`${shell.join(" ")} reads the kernel's counters alike`, { skip: needs(shell[0]) }, () => {
    using leaf = new Imitation({ ...quiet, "pids.events": "max 4\n" });
    const ask = (file: string, key: string) =>
      spawnSync(
        shell[0],
        [...shell.slice(1), "-c", '. "$1"; counted "$2" "$3"', "sh", scriptPath("tree.sh"), file, key],
        { cwd: leaf.directory, encoding: "utf8" },
      );
    assert.equal(ask("pids.events", "max").status, 0);
    assert.equal(ask("memory.events", "oom_kill").status, 1);
    assert.equal(ask("no.such.file", "max").status, 1);
    assert.equal(ask("no.such.file", "max").stderr, "");
  });
}
