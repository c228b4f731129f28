/** What every backend of the platform promises, whichever system it is for: the one suite that all of them pass. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container, Epoch, Platform, ProcessInfo, ProcessRef, Spawned } from "../../../src/platform/types.ts";
import { patiently } from "../../helpers/until.ts";

/** A tree that was started in a container, all of it there. */
export interface Tree {
  readonly container: Container;
  readonly spawned: Spawned;
  /** Its live processes, counted without asking what is tested. */
  readonly survivors: () => ProcessRef[];
  /** How many processes of it there have been so far. */
  readonly count: () => number;
}

/** A keeper in a process of its own, which can be lost. */
export interface OtherKeeper {
  start(tree: string, runId: string): Promise<Pick<Tree, "survivors">>;
  /** Ends it as `kill -9` does. */
  lose(): Promise<void>;
}

export interface World {
  readonly platform: Platform;
  readonly epoch: Epoch;
  readonly owner: string;
  /** Another epoch of this owner, or another owner's; with its guardian on watch or without. */
  keeper(owner: string, epoch: number, options: { isGuarded: boolean }): Promise<OtherKeeper>;
  /** Starts a tree and resolves when it says that all of it is there. */
  start(tree: string): Promise<Tree>;
  /** A container and the request for a tree, not started. */
  prepare(tree: string): Omit<Tree, "spawned"> & { spawn: () => Promise<Spawned> };
  until(what: string, look: () => boolean): Promise<void>;
  /** A random moment between the steps of whatever goes on. */
  moment(): Promise<void>;
  /** Lets go what nobody can kill. */
  release?(): void;
  /** What of the backend's own is left when all is closed: fences, helpers. */
  leftovers(): string[];
}

export interface Backend {
  readonly name: string;
  readonly trees: readonly { name: string; processes: number; skip?: string | false }[];
  readonly proof: "kernel" | "scan";
  /** Plays a scene in a fresh world; where chance decides, in many. */
  readonly play: (scene: (world: World) => Promise<void>) => Promise<void>;
  /** A command that exists, and a directory that does not. */
  readonly refused: { readonly command: string; readonly cwd: string };
  /** Scenes that cannot be played there, and why. */
  readonly cannot: Partial<Record<"ask" | "limits" | "stopped" | "unkillable", string>>;
}

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

function treePromises({ trees, play }: Backend): void {
  for (const { name, processes, skip = false } of trees) {
    it(`ends a tree that hides by: ${name}`, { skip }, () =>
      play(async (world) => {
        const tree = await world.start(name);
        assert.ok(tree.count() >= processes, `${tree.count()} processes, at least ${processes}`);
        assert.equal(tree.container.looksEmpty(), false, "it is alive before it is ended");
        await endWhole(world, tree);
      }),
    );
  }
}

function containerPromises({ play, cannot, refused }: Backend): void {
  it("lists the whole tree and nothing else", () =>
    play(async (world) => {
      const other = await world.start("group");
      const tree = await world.start("setsid");
      assert.deepEqual(pidsOf(tree.container.list()), pidsOf(tree.survivors()));
      await endWhole(world, tree);
      assert.equal(other.survivors().length, 2, "the other run is untouched");
      await endWhole(world, other);
    }));

  if (cannot.ask === undefined)
    it("asks every process, and sees the tree end by itself", () =>
      play(async (world) => {
        const tree = await world.start("polite");
        assert.equal(tree.container.ask("terminate"), true);
        assert.deepEqual(await tree.spawned.exit, { code: 7, signal: null });
        await world.until("the tree ends by itself", () => tree.container.looksEmpty());
        assert.deepEqual(await tree.container.end(boundMs), []);
        await expectNone(world, tree);
        assert.equal(tree.container.ask("terminate"), false, "there is nothing to ask");
      }));

  it("joins a call of `end` to the one before, and keeps the proof", () =>
    play(async (world) => {
      const tree = await world.start("deaf");
      const [first, second] = await Promise.all([tree.container.end(boundMs), tree.container.end(boundMs)]);
      assert.deepEqual([first, second], [[], []]);
      assert.deepEqual(await tree.container.end(boundMs), []);
      await expectNone(world, tree);
    }));

  it("lets no command be born after its run was ended, whenever that is", () =>
    play(async (world) => {
      const { container, spawn, survivors } = world.prepare("cleared");
      const spawned = spawn();
      await world.moment();
      const left = await container.end(boundMs);
      await (
        await spawned
      ).exit;
      assert.deepEqual(left, []);
      assert.deepEqual(survivors(), []);
    }));

  it("ends the tree when the helper in front of the command is killed", () =>
    play(async (world) => {
      const other = await world.start("group");
      const tree = await world.start("cleared-double-fork");
      const { ref } = tree.spawned;
      if (ref !== undefined) world.platform.signal(ref, "SIGKILL");
      await world.moment();
      await endWhole(world, tree);
      assert.equal(other.survivors().length, 2, "the other run is untouched");
      await endWhole(world, other);
    }));

  it("tells the end of a command whose helper is killed before it was born", () =>
    play(async (world) => {
      const { container, spawn, survivors } = world.prepare("cleared");
      const { ref, exit } = await spawn();
      world.platform.signal(ref, "SIGKILL");
      assert.equal((await exit).code, null);
      assert.deepEqual(await container.end(boundMs), []);
      assert.deepEqual(survivors(), []);
    }));

  it("refuses what the system refuses: one clear error, and nothing is left", () =>
    play(async (world) => {
      const { container, survivors } = world.prepare("group");
      await assert.rejects(container.spawn({ ...refused, args: [], env: {} }), (thrown: unknown) => {
        assert.ok(String(thrown).includes(`cannot start ${refused.command} in ${refused.cwd}`), String(thrown));
        assert.equal((thrown as { code?: string }).code, "spawn_failed");
        return true;
      });
      assert.deepEqual(await container.end(boundMs), []);
      assert.deepEqual(survivors(), []);
    }));

  if (cannot.unkillable === undefined)
    it("gives back what cannot be killed, and ends it when asked again", () =>
      play(async (world) => {
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
      }));

  if (cannot.limits === undefined)
    it("tells a limit that the kernel has held, as data", () =>
      play(async (world) => {
        const { container, spawn, survivors } = world.prepare("wide");
        container.holdLimits?.({ processesMax: 10 });
        await spawn();
        await world.until("the kernel refuses", () => container.excess?.() !== undefined);
        assert.equal(container.excess?.()?.limit, "processesMax");
        assert.ok(survivors().length <= 10);
        assert.deepEqual(await container.end(boundMs), []);
        assert.deepEqual(survivors(), []);
      }));
}

function epochPromises({ play, proof }: Backend): void {
  it("says what its proof is", () =>
    play(async ({ epoch }) => {
      assert.equal(epoch.proof, proof);
    }));

  it("sweeps what a lost keeper left, and touches no other owner's", () =>
    play(async (world) => {
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
    }));

  it("ends strays of its own epoch, and nothing that is held", () =>
    play(async (world) => {
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
    }));

  it("ends everything of a keeper that is killed at any moment, by its guardian", () =>
    play(async (world) => {
      const keeper = await world.keeper("anotherowner0001", 1, { isGuarded: true });
      const trees = [await keeper.start("setsid", "r1-00000001"), await keeper.start("deaf", "r1-00000002")];
      await world.moment();
      await keeper.lose();
      for (const tree of trees) await expectNone(world, tree);
    }));

  it("leaves nothing of its own when it is closed", () =>
    play(async (world) => {
      const watchdog = world.epoch.watchdog();
      await watchdog.ready;
      const tree = await world.start("setsid");
      await endWhole(world, tree);
      watchdog.dismiss();
      assert.equal((await watchdog.exit).code, 0);
      world.epoch.close();
      await world.until("nothing is left", () => world.leftovers().length === 0).catch(() => {});
      assert.deepEqual(world.leftovers(), []);
    }));
}

function processPromises({ play, cannot }: Backend): void {
  it("signals the process that was meant, and never a successor with its number", () =>
    play(async (world) => {
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
    }));

  it("shows parents before children, with their states", () =>
    play(async (world) => {
      const tree = await world.start(cannot.stopped === undefined ? "stopped" : "group");
      const [main, child] = tree.container.list().toSorted(byBirth);
      assert.ok(main !== undefined && child !== undefined);
      const expected = cannot.stopped === undefined ? "stopped" : "running";
      await world.until(`it is ${expected}`, () => world.platform.processes.read(child.pid)?.state === expected);
      assert.equal(world.platform.processes.read(child.pid)?.ppid, main.pid);
      assert.deepEqual(pidsOf(world.platform.processes.descendants(main.pid)), [child.pid]);
      await endWhole(world, tree);
    }));
}

const byBirth = (a: ProcessInfo, b: ProcessInfo) => Number(a.startTime) - Number(b.startTime) || a.pid - b.pid;

export function contractSuite(backend: Backend): void {
  describe(`the platform's contract on ${backend.name}`, { timeout: patiently(300_000) }, () => {
    treePromises(backend);
    containerPromises(backend);
    epochPromises(backend);
    processPromises(backend);
  });
}
