/** One keeper life on the coalition tier: its guardian, and what the next life finds. Real processes; launchd is played. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { CoalitionEpoch } from "../../../src/platform/darwin/coalition-epoch.ts";
import { sweepEpoch } from "../../../src/platform/darwin/coalition-sweep.ts";
import { membersOf } from "../../../src/platform/darwin/coalition-tree.ts";
import { launchctlOf } from "../../../src/platform/darwin/launchctl.ts";
import { isAlive } from "../../../src/platform/types.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { pidsByEnvironment } from "../../helpers/pids.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { tierSkip } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";
import { CoalitionWorld } from "./coalition-world.ts";

const host = fileURLToPath(new URL("../../fixtures/launchd/keeper-host.ts", import.meta.url));
const boundMs = 20_000;
const env = { PATH: "/usr/bin:/bin" };
/** A grandchild in a session of its own, without parent and marker, and a main process that hears nothing polite. */
const tree = `trap "" TERM; (env -i setsid sh -c 'trap "" TERM HUP; exec sleep 1000' &) ; echo ready; while :; do sleep 1; done`;

class Keeper {
  readonly child: ChildProcess;

  constructor(world: CoalitionWorld, epoch: number, isGuarded: boolean) {
    const words = [host, world.directory, world.owner, String(epoch), ...(isGuarded ? ["guarded"] : [])];
    this.child = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
  }

  async start(runId: string): Promise<void> {
    this.child.stdin?.write(`${JSON.stringify({ runId, command: "sh", args: ["-c", tree], env })}\n`);
    await readUntil(this.child.stdout, `ready ${runId}`);
  }

  async lose(): Promise<void> {
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
    for (const stream of this.child.stdio) stream?.destroy();
  }
}

function inCoalitions(world: CoalitionWorld): number[] {
  return world.groupInodes().flatMap((group) => membersOf(world.parts, group).map(({ pid }) => pid));
}

function nothingIsLeft(world: CoalitionWorld): void {
  assert.deepEqual(world.loaded(), [], "loaded jobs");
  assert.deepEqual(existsSync(world.jobs) ? readdirSync(world.jobs) : [], [], "places");
  assert.deepEqual(inCoalitions(world), [], "processes of jobs");
  assert.deepEqual(
    pidsByEnvironment((environment) => environment.includes(world.owner)),
    [],
    "marked processes",
  );
}

describe("an epoch of the coalition tier", { skip: tierSkip("cgroup"), timeout: 120_000 }, () => {
  leavesNothing();

  it("ends everything of a killed keeper by its guardian, which then unloads itself", async () => {
    await using world = new CoalitionWorld();
    const keeper = new Keeper(world, 1, true);
    await readUntil(keeper.child.stdout, "open");
    await keeper.start("r1-1");
    assert.equal(world.loaded().length, 2);
    await keeper.lose();
    await until("all is gone", () => world.loaded().length === 0 && inCoalitions(world).length === 0, { boundMs });
    nothingIsLeft(world);
  });

  it("ends everything even when the guardian is killed just before the keeper: launchd starts it again", async () => {
    await using world = new CoalitionWorld();
    const keeper = new Keeper(world, 1, true);
    await readUntil(keeper.child.stdout, "open");
    await keeper.start("r1-1");
    const guardian = world.pidOf("guardian-1");
    assert.ok(guardian !== undefined);
    process.kill(guardian, "SIGKILL");
    await keeper.lose();
    await until("all is gone", () => world.loaded().length === 0 && inCoalitions(world).length === 0, { boundMs });
    nothingIsLeft(world);
  });

  it("sweeps jobs of lost epochs by launchd, coalition and place, and leaves its own", async () => {
    await using world = new CoalitionWorld();
    const keeper = new Keeper(world, 1, false);
    await readUntil(keeper.child.stdout, "open");
    await keeper.start("r1-1");
    await keeper.lose();
    const epoch = new CoalitionEpoch(world.partsWith(undefined, 2), world.owner, 2);
    const own = epoch.create("r2-1");
    const spawned = await own.spawn({ command: "sh", args: ["-c", "echo ready; exec sleep 1000"], env });
    await readUntil(spawned.stdout, "ready");
    const { ended, left } = await epoch.sweepEarlier(boundMs);
    assert.deepEqual(left, []);
    assert.ok(ended.length >= 2 && ended.every(({ run }) => run === "r1-1"), JSON.stringify(ended));
    assert.equal(own.list().length, 1);
    assert.deepEqual(await epoch.sweepEarlier(boundMs), { ended: [], left: [] });
    const { ended: strays } = await epoch.endStrays(() => false, boundMs);
    assert.deepEqual(
      strays.map(({ pid }) => pid),
      [spawned.ref.pid],
    );
    assert.deepEqual(await own.end(boundMs), []);
    for (const stream of [spawned.stdin, spawned.stdout, spawned.stderr]) stream?.destroy();
    epoch.close();
    nothingIsLeft(world);
  });

  it("sweeps by its own records alone while launchd does not answer", async () => {
    await using world = new CoalitionWorld();
    const keeper = new Keeper(world, 1, false);
    await readUntil(keeper.child.stdout, "open");
    await keeper.start("r1-1");
    await keeper.lose();
    const epoch = new CoalitionEpoch(world.partsWith(launchctlOf(["/no/such/launchctl"]), 2), world.owner, 2);
    const { ended, left } = await epoch.sweepEarlier(boundMs);
    assert.deepEqual(left, []);
    assert.ok(ended.length >= 2);
    assert.deepEqual(inCoalitions(world), []);
  });

  it("has a guardian that ends when it is dismissed, and comes back when it is killed", async () => {
    await using world = new CoalitionWorld();
    const epoch = new CoalitionEpoch(world.parts, world.owner, 1);
    const watchdog = epoch.watchdog();
    assert.equal(watchdog.pid, 0);
    await watchdog.ready;
    const first = watchdog.pid;
    assert.equal(isAlive(world.parts.system.processes.read(first)), true);
    process.kill(first, "SIGKILL");
    await until("another one is on watch", () => watchdog.pid !== first, { boundMs });
    assert.equal(watchdog.isRunning, true);
    watchdog.dismiss();
    assert.deepEqual(await watchdog.exit, { code: 0, signal: null, refused: null });
    assert.equal(watchdog.isRunning, false);
    nothingIsLeft(world);
  });

  it("tells why a guardian cannot be started", async () => {
    await using world = new CoalitionWorld();
    world.set("fail-bootstrap", "5: Bootstrap failed: 5: Input/output error");
    const { exit } = new CoalitionEpoch(world.parts, world.owner, 1).watchdog();
    const { refused } = await exit;
    assert.match(refused ?? "", /launchctl bootstrap gui\/\d+ failed with exit code 5/);
    nothingIsLeft(world);
  });

  it("ends the front that its keeper named, and no other process with that number", async () => {
    await using world = new CoalitionWorld();
    const front = spawn("sleep", ["1000"]);
    const exit = once(front, "exit");
    const { system } = world.parts;
    const ref = system.processes.read(front.pid ?? 0);
    assert.ok(ref !== undefined);
    assert.equal(await sweepEpoch(world.parts, world.owner, 1, { ...ref, startTime: `${ref.startTime}1` }), true);
    assert.equal(isAlive(system.processes.read(ref.pid)), true);
    assert.equal(await sweepEpoch(world.parts, world.owner, 1, ref), true);
    await exit;
    for (const stream of front.stdio) stream?.destroy();
  });
});
