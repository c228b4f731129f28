/** What every backend of the platform promises, whichever system it is for: the one suite that all of them pass. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProcessInfo, ProcessRef } from "../../../src/platform/types.ts";
import { patiently } from "../../helpers/until.ts";
import type { Backend, Row, Tree, World } from "./backend.ts";

export type { Backend, OtherKeeper, Row, Tree, World } from "./backend.ts";

type Add = (title: string, scene: (world: World) => Promise<void>, skip?: string | false) => void;

const boundMs = 10_000;

function pidsOf(processes: readonly { pid: number }[]): number[] {
  return processes.map(({ pid }) => pid).toSorted((a, b) => a - b);
}

async function expectNone(world: World, { survivors }: Pick<Tree, "survivors">): Promise<void> {
  await world.until("nothing of it lives", () => survivors().length === 0).catch(() => {});
  assert.deepEqual(survivors(), [], "survivors");
}

async function endWhole(world: World, tree: Tree): Promise<void> {
  const left = await tree.container.end(boundMs);
  assert.deepEqual(tree.survivors(), [], "what lives although `end` resolved");
  assert.deepEqual(left, []);
  assert.deepEqual(tree.container.list(), []);
  assert.equal(tree.container.looksEmpty(), true);
  await world.moment(); // a tree in motion may be between one counted process and the next
  assert.deepEqual(tree.survivors(), [], "what lives a moment later");
}

/** Has its own row in the table of guarantees. */
export const proofTitle = "says what its proof is";

export const hiding = "ends a tree that hides by: ";

function treePromises({ trees }: Backend, add: Add): void {
  for (const { name, processes, skip = false } of trees) {
    const scene = async (world: World) => {
      const tree = await world.start(name);
      assert.ok(tree.count() >= processes, `${tree.count()} processes, at least ${processes}`);
      assert.equal(tree.container.looksEmpty(), false, "it is alive before it is ended");
      await endWhole(world, tree);
    };
    add(hiding + name, scene, skip);
  }
}

function containerPromises({ cannot, refused }: Backend, add: Add): void {
  add("lists the whole tree and nothing else", async (world) => {
    const other = await world.start("group");
    const tree = await world.start("setsid");
    assert.deepEqual(pidsOf(tree.container.list()), pidsOf(tree.survivors()));
    await endWhole(world, tree);
    assert.equal(other.survivors().length, 2, "the other run is untouched");
    await endWhole(world, other);
  });

  if (cannot.ask === undefined)
    add("asks every process, and sees the tree end by itself", async (world) => {
      const tree = await world.start("polite");
      assert.equal(tree.container.ask("terminate"), true);
      assert.deepEqual(await tree.spawned.exit, { code: 7, signal: null });
      await world.until("the tree ends by itself", () => tree.container.looksEmpty());
      assert.deepEqual(await tree.container.end(boundMs), []);
      await expectNone(world, tree);
      assert.equal(tree.container.ask("terminate"), false, "there is nothing to ask");
    });

  add("joins a call of `end` to the one before, and keeps the proof", async (world) => {
    const tree = await world.start("deaf");
    const [first, second] = await Promise.all([tree.container.end(boundMs), tree.container.end(boundMs)]);
    assert.deepEqual([first, second], [[], []]);
    assert.deepEqual(await tree.container.end(boundMs), []);
    await expectNone(world, tree);
  });

  add("lets no command be born after its run was ended, whenever that is", async (world) => {
    const { container, spawn, survivors } = world.prepare("cleared");
    const spawned = spawn();
    await world.moment();
    const left = await container.end(boundMs);
    await (
      await spawned
    ).exit;
    assert.deepEqual(left, []);
    assert.deepEqual(survivors(), []);
  });

  add("ends the tree when the helper in front of the command is killed", async (world) => {
    const other = await world.start("group");
    const tree = await world.start("cleared-double-fork");
    const { ref } = tree.spawned;
    if (ref !== undefined) world.platform.signal(ref, "SIGKILL");
    await world.moment();
    await endWhole(world, tree);
    assert.equal(other.survivors().length, 2, "the other run is untouched");
    await endWhole(world, other);
  });

  add("tells the end of a command whose helper is killed before it was born", async (world) => {
    const { container, spawn, survivors } = world.prepare("cleared");
    const { ref, exit } = await spawn();
    world.platform.signal(ref, "SIGKILL");
    assert.equal((await exit).code, null);
    assert.deepEqual(await container.end(boundMs), []);
    assert.deepEqual(survivors(), []);
  });

  add("refuses what the system refuses: one clear error, and nothing is left", async (world) => {
    const { container, survivors } = world.prepare("group");
    await assert.rejects(container.spawn({ ...refused, args: [], env: {} }), (thrown: unknown) => {
      assert.ok(String(thrown).includes(`cannot start ${refused.command} in ${refused.cwd}`), String(thrown));
      assert.equal((thrown as { code?: string }).code, "spawn_failed");
      return true;
    });
    assert.deepEqual(await container.end(boundMs), []);
    assert.deepEqual(survivors(), []);
  });

  if (cannot.unkillable === undefined)
    add("gives back what cannot be killed, and ends it when asked again", async (world) => {
      const tree = await world.start("stuck");
      const left = await tree.container.end(500);
      assert.deepEqual(pidsOf(left), pidsOf(tree.survivors()));
      assert.deepEqual(
        left.map(({ state }) => state),
        ["uninterruptible"],
      );
      assert.equal(tree.container.looksEmpty(), false);
      world.release?.();
      await endWhole(world, tree);
    });

  if (cannot.limits === undefined)
    add("tells a limit that the kernel has held, as data", async (world) => {
      const { container, spawn, survivors } = world.prepare("wide");
      container.holdLimits?.({ processesMax: 10 });
      await spawn();
      await world.until("the kernel refuses", () => container.excess?.() !== undefined);
      assert.equal(container.excess?.()?.limit, "processesMax");
      assert.ok(survivors().length <= 10);
      assert.deepEqual(await container.end(boundMs), []);
      assert.deepEqual(survivors(), []);
    });
}

function epochPromises({ proof }: Backend, add: Add): void {
  add(proofTitle, async ({ epoch }) => {
    assert.equal(epoch.proof, proof);
  });

  add("sweeps what a lost keeper left, and touches no other owner's", async (world) => {
    const lost = await world.keeper(world.owner, 1, { isGuarded: false });
    const stranger = await world.keeper("stranger00000001", 1, { isGuarded: false });
    const trees = [await lost.start("setsid", "r1-00000001"), await lost.start("double-fork", "r1-00000002")];
    const untouched = await stranger.start("setsid", "r1-00000001");
    await lost.lose();
    const own = await world.start("group");
    const { left } = await world.epoch.sweepEarlier(boundMs);
    assert.deepEqual(left, []);
    for (const tree of trees) assert.deepEqual(tree.survivors(), []);
    assert.equal(untouched.survivors().length, 2, "another owner's tree");
    assert.equal(own.survivors().length, 2, "this epoch's own tree");
    assert.deepEqual((await world.epoch.sweepEarlier(boundMs)).ended, [], "asked again it finds nothing");
    await endWhole(world, own);
    await stranger.lose();
  });

  add("ends strays of its own epoch, and nothing that is held", async (world) => {
    const held = await world.start("group");
    const stray = await world.start("setsid");
    const isHeld = (runId: string) => runId === held.container.runId;
    const { ended, left } = await world.epoch.endStrays(isHeld, boundMs);
    assert.deepEqual(left, []);
    assert.ok(ended.every(({ run }) => run === stray.container.runId));
    assert.deepEqual(stray.survivors(), []);
    assert.equal(held.survivors().length, 2);
    await endWhole(world, stray);
    await endWhole(world, held);
  });

  add("ends everything of a keeper that is killed at any moment, by its guardian", async (world) => {
    const keeper = await world.keeper("anotherowner0001", 1, { isGuarded: true });
    const trees = [await keeper.start("setsid", "r1-00000001"), await keeper.start("deaf", "r1-00000002")];
    await world.moment();
    await keeper.lose();
    for (const tree of trees) await expectNone(world, tree);
  });

  add("leaves nothing of its own when it is closed", async (world) => {
    const watchdog = world.epoch.watchdog();
    await watchdog.ready;
    const tree = await world.start("setsid");
    await endWhole(world, tree);
    watchdog.dismiss();
    assert.equal((await watchdog.exit).code, 0);
    world.epoch.close();
    await world.until("nothing is left", () => world.leftovers().length === 0).catch(() => {});
    assert.deepEqual(world.leftovers(), []);
  });
}

function processPromises({ cannot }: Backend, add: Add): void {
  add("signals the process that was meant, and never a successor with its number", async (world) => {
    const { platform } = world;
    const tree = await world.start("group");
    const [victim] = tree.survivors();
    assert.ok(victim !== undefined);
    const other: ProcessRef = { ...victim, startTime: `${victim.startTime}1` };
    assert.equal(platform.signal(other, "SIGKILL"), false);
    assert.equal(platform.isSameAlive(other), false);
    assert.equal(platform.isSameAlive({ ...victim, bootId: "another boot" }), false);
    assert.equal(platform.isSameAlive(victim), true);
    assert.equal(platform.signal(victim, "SIGKILL"), true);
    await world.until("it is dead", () => !platform.isSameAlive(victim));
    assert.equal(platform.signal(victim, "SIGKILL"), false);
    await endWhole(world, tree);
  });

  add("shows parents before children, with their states", async (world) => {
    const tree = await world.start(cannot.stopped === undefined ? "stopped" : "group");
    const [main, child] = tree.container.list().toSorted(byBirth);
    assert.ok(main !== undefined && child !== undefined);
    const expected = cannot.stopped === undefined ? "stopped" : "running";
    await world.until(`it is ${expected}`, () => world.platform.processes.read(child.pid)?.state === expected);
    assert.equal(world.platform.processes.read(child.pid)?.ppid, main.pid);
    assert.deepEqual(pidsOf(world.platform.processes.descendants(main.pid)), [child.pid]);
    await endWhole(world, tree);
  });
}

const byBirth = (a: ProcessInfo, b: ProcessInfo) => Number(a.startTime) - Number(b.startTime) || a.pid - b.pid;

/** In their order. */
export function contractRows(backend: Backend): Row[] {
  const rows: Row[] = [];
  const { bestEffort = {}, play } = backend;
  const add: Add = (title, scene, skip = false) =>
    void rows.push({ title, skip, bestEffort: bestEffort[title], play: () => play(scene) });
  treePromises(backend, add);
  containerPromises(backend, add);
  epochPromises(backend, add);
  processPromises(backend, add);
  const unknown = Object.keys(bestEffort).filter((title) => !rows.some((row) => row.title === title));
  assert.deepEqual(unknown, [], `${backend.name} excuses rows that do not exist`);
  return rows;
}

export function contractSuite(backend: Backend): void {
  describe(`the platform's contract on ${backend.name}`, { timeout: patiently(300_000) }, () => {
    for (const { title, skip, bestEffort, play } of contractRows(backend)) {
      if (bestEffort === undefined) it(title, { skip }, play);
      else it(`${title}: best effort only`, { skip }, () => assert.rejects(play(), `it holds, although ${bestEffort}`));
    }
  });
}
