/** `holdfast run` where it may make a cgroup: whoever of its own processes dies, one that is left strikes; and where it may not. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { text } from "node:stream/consumers";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readUntil } from "../helpers/read-until.ts";
import { needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { settle, survivorsOf, waitForZero } from "../helpers/pids.ts";
import { cgroupMount, giveTo, launchOn, tierSkip } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { exitOf, groupsOf, main, ownBelow, wrapper, Wrapped } from "../helpers/wrapped.ts";

const boundMs = 10_000;

/** Kills all of these in the same instant, as far as one process can: none of them runs from the first stop on. */
function killAtOnce(pids: readonly number[]): void {
  for (const signal of ["SIGSTOP", "SIGKILL"] as const) for (const pid of pids) process.kill(pid, signal);
}

/** A cgroup is busy for a moment after its last process was killed. */
function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}

describe("holdfast run in a cgroup", { timeout: patiently(60_000), skip: tierSkip("cgroup") }, () => {
  leavesNothing();

  // Each start sweeps what is left beside it: not those of other tests, while one here looks.
  const outer = cgroupMount()?.own ?? "";
  const place = join(outer, `holdfast-test-${process.pid}`);
  before(() => {
    mkdirSync(place);
    writeFileSync(join(place, "cgroup.procs"), String(process.pid));
  });
  after(async () => {
    writeFileSync(join(outer, "cgroup.procs"), String(process.pid));
    await until("the place is empty", () => isRemoved(place), { boundMs });
  });

  it("puts the command and nothing of its own into one, and takes it down at the end", async () => {
    await using wrapped = new Wrapped("cgroup");
    const child = wrapped.run(["sh", "-c", "sleep 1000 & echo $$ $!; exec cat"]);
    const pids = (await readUntil(child.stdout, "\n")).trim().split(" ");
    const [leaf = ""] = groupsOf(child.pid ?? 0);
    assert.deepEqual(readFileSync(join(leaf, "cgroup.procs"), "utf8").trim().split("\n").toSorted(), pids.toSorted());
    child.stdin!.end();
    assert.equal(await exitOf(child), 0);
    assert.equal(existsSync(leaf), false);
  });

  it("takes down what the command made inside, too", async () => {
    await using wrapped = new Wrapped("cgroup");
    const { mount } = cgroupMount()!;
    const script = `own=${mount}$(sed -n 's/^0:://p' /proc/self/cgroup); mkdir -p "$own/a/b"; echo $own; echo $$ >"$own/a/b/cgroup.procs"; sleep 1000 &`;
    const child = wrapped.run(["sh", "-c", script], ["--term-grace", "100"]);
    const leaf = (await text(child.stdout!)).trim();
    assert.equal(await exitOf(child), 0);
    assert.match(leaf, new RegExp(`/holdfast-run-${child.pid}\\.`));
    assert.equal(existsSync(leaf), false);
  });

  type Role = "run" | "guard" | "monitor" | "pidfd-waiter";
  const deaths: [string, Role[]][] = [
    ["both shells but the monitor", ["run", "guard"]],
    ["every shell", ["run", "guard", "monitor"]],
    ["the process that the caller knows", ["run"]],
    ["the guard", ["guard"]],
    ["the guard and its monitor", ["guard", "monitor"]],
    ["that process and the pidfd waiter", ["run", "pidfd-waiter"]],
  ];
  for (const [what, roles] of deaths) {
    it(`ends a tree with a cleared environment when ${what} is killed at once, and the cgroup is taken down`, async () => {
      await using wrapped = new Wrapped("cgroup");
      const child = await wrapped.attack("cleared-double-fork");
      const known = child.pid ?? 0;
      const below = ownBelow(known);
      const shells = below.filter(({ command }) => command.includes("run-guard.sh")).map(({ pid }) => pid);
      assert.equal(shells.length, 2, "guard and monitor");
      // The monitor is the younger one of the two: it was started by the guard.
      const pids: Record<Role, number> = {
        run: known,
        guard: Math.min(...shells),
        monitor: Math.max(...shells),
        "pidfd-waiter": below.find(({ command }) => command.includes("/pidfd-waiter "))?.pid ?? 0,
      };
      killAtOnce(roles.map((role) => pids[role]));
      await waitForZero(wrapped.pidFile, boundMs);
      await until("the cgroup is taken down", () => groupsOf(known).length === 0, { boundMs });
    });
  }

  it("ends at the next start what lost all of its monitors in the same instant", async () => {
    await using wrapped = new Wrapped("cgroup");
    const child = await wrapped.attack("cleared-double-fork");
    const known = child.pid ?? 0;
    killAtOnce([known, ...ownBelow(known).map(({ pid }) => pid)]);
    await exitOf(child);
    assert.ok((await settle(wrapped.pidFile, 200)).survivors.length > 0, "nobody is left to end them");
    await sweep(wrapped);
    await waitForZero(wrapped.pidFile, boundMs);
  });

  /** Starts others until the leaf of the dead is gone: what dies while one looks is left to the next. */
  async function sweep(wrapped: Wrapped): Promise<void> {
    const dead = wrapped.children[0]?.pid ?? 0;
    const isGone = async () => {
      assert.equal(await exitOf(wrapped.run(["true"])), 0);
      return groupsOf(dead).length === 0;
    };
    await until("the leaf of the dead is taken down", isGone, { boundMs });
  }

  it("leaves the living of others alone when it sweeps", async () => {
    await using wrapped = new Wrapped("cgroup");
    const child = await wrapped.attack("cleared");
    const living = survivorsOf(wrapped.pidFile).length;
    assert.equal(await exitOf(wrapped.run(["true"])), 0);
    assert.equal(survivorsOf(wrapped.pidFile).length, living);
    child.kill("SIGKILL");
    await waitForZero(wrapped.pidFile, boundMs);
  });

  it("takes down what another pid namespace left long ago, and leaves what one just made", async () => {
    await using wrapped = new Wrapped("cgroup");
    const [old = "", fresh = ""] = ["2.1.1", "3.1.1"].map((name) => join(place, `holdfast-run-${name}`));
    for (const leaf of [old, fresh]) mkdirSync(leaf);
    utimesSync(old, 0, Date.now() / 1000 - 3600);
    assert.equal(await exitOf(wrapped.run(["true"])), 0);
    assert.deepEqual([existsSync(old), existsSync(fresh)], [false, true]);
    rmdirSync(fresh);
  });
});

describe("holdfast run without a cgroup", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("works all the same for a user who may make none, and says why when it is told to have one", (t) => {
    const cache = mkdtempSync(join(tmpdir(), "holdfast-cache-"));
    t.after(() => rmSync(cache, { recursive: true, force: true }));
    giveTo("subreaper", cache);
    const { prefix, identity, env } = launchOn("subreaper");
    const [command = "", ...rest] = [...prefix, ...wrapper];
    const words = ["--", "sh", "-c", "tail -n 1 /proc/self/cgroup; exit 5"];
    const asUser = (tier: string) =>
      spawnSync(command, [...rest, ...words], {
        encoding: "utf8",
        cwd: "/",
        ...identity,
        env: { ...process.env, ...env, XDG_CACHE_HOME: cache, HOLDFAST_TIER: tier },
      });
    const without = asUser("");
    assert.equal(without.status, 5, without.stderr);
    assert.doesNotMatch(without.stdout, /holdfast-run/);
    assert.doesNotMatch(without.stderr, /./);
    const insisted = asUser("cgroup");
    assert.equal(insisted.status, 1);
    assert.match(insisted.stderr, /no cgroup tier here: .*(EACCES|permission)/);
  });

  const skip = tierSkip("cgroup") || needsNamespace("mount");
  it("works where cgroupfs is read-only, as in most containers", { skip }, () => {
    const script = `mount -o remount,bind,ro ${cgroupMount()!.mount}; exec ${process.execPath} ${main} run -- sh -c 'exit 6'`;
    assert.equal(spawnSync("unshare", ["--mount", "sh", "-ec", script]).status, 6);
  });
});
