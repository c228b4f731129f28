/** `holdfast run` on macOS, on a simulated machine with XNU's rules. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { isOrphan, RunGuard } from "../../../src/platform/darwin/run-guard.ts";
import { Machine } from "../../../src/platform/simulated/machine.ts";
import type { Process, Program } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";
import { SimulatedXnuPlatform } from "../../../src/platform/simulated/xnu-platform.ts";
import type { TreeLimits } from "../../../src/platform/types.ts";
import { untilTrue } from "../../../src/platform/wait.ts";
import { stuck, trees } from "../contract/simulated-trees.ts";
import { seedsFromEnvironment } from "../contract/simulated.ts";

const pidMax = 200;
const seeds = seedsFromEnvironment(20);
const termGraceMs = 500;

interface Scene {
  readonly simulation: Simulation;
  readonly machine: Machine;
  readonly platform: SimulatedXnuPlatform;
  readonly said: string[];
  isAbandoned: boolean;
  guard: (limits?: TreeLimits) => RunGuard;
  living: () => Process[];
}

async function played(programs: Record<string, Program>, play: (scene: Scene) => Promise<void>): Promise<void> {
  for (let seed = seeds.first; seed < seeds.first + seeds.count; seed += 1) {
    const simulation = new Simulation(seed);
    const machine = new Machine(simulation, { proof: "scan", rules: "xnu", pidMax });
    for (const [name, program] of Object.entries(programs))
      machine.programs.set(name, () => (self) => {
        self.origin = "tree";
        return program(self);
      });
    const platform = new SimulatedXnuPlatform(machine, machine.start("run"), { pidMax });
    const said: string[] = [];
    const scene: Scene = {
      simulation,
      machine,
      platform,
      said,
      isAbandoned: false,
      guard: (limits = {}) =>
        new RunGuard({
          darwin: platform.darwin,
          termGraceMs,
          limits,
          isAbandoned: () => scene.isAbandoned,
          say: (line) => void said.push(line),
        }),
      living: () => machine.kernel.processes.filter(({ isAlive, origin }) => isAlive && origin === "tree"),
    };
    await simulation.run(play(scene)).catch((cause: unknown) => {
      throw new Error(`seed ${seed} (HOLDFAST_SIMULATION_SEED): ${String(cause)}`, { cause });
    });
  }
}

const request = (command: string) => ({ command, args: [], env: { PATH: "/bin" } });

it("ends with the code of its command, and leaves nothing of its tree", () =>
  played({ "holds-stdout": (self) => trees["holds-stdout"](self) }, async ({ guard, living }) => {
    assert.equal(await guard().run(request("holds-stdout")), 0);
    assert.deepEqual(living(), []);
  }));

it("passes a signal on to the whole tree, and after the grace ends what is deaf to it", () =>
  played({ deaf: trees.deaf }, async ({ guard, living, platform }) => {
    const run = guard();
    const code = run.run(request("deaf"));
    await untilTrue(() => living().length === 2, 1000, platform.clock);
    const began = platform.clock.monotonic();
    run.onSignal("SIGTERM");
    assert.equal(await code, 128 + 9);
    assert.ok(platform.clock.monotonic() - began >= termGraceMs);
    assert.deepEqual(living(), []);
  }));

it("ends the tree at a second signal, without the grace", () =>
  played({ deaf: trees.deaf }, async ({ guard, living, platform }) => {
    const run = guard();
    const code = run.run(request("deaf"));
    await untilTrue(() => living().length === 2, 1000, platform.clock);
    const began = platform.clock.monotonic();
    run.onSignal("SIGINT");
    run.onSignal("SIGINT");
    assert.equal(await code, 128 + 9);
    assert.ok(platform.clock.monotonic() - began < termGraceMs);
    assert.deepEqual(living(), []);
  }));

it("ends the tree when its caller is gone", () =>
  played({ setsid: trees.setsid }, async (scene) => {
    const code = scene.guard().run(request("setsid"));
    await untilTrue(() => scene.living().length === 2, 1000, scene.platform.clock);
    scene.isAbandoned = true;
    assert.equal(await code, 128 + 15);
    assert.deepEqual(scene.living(), []);
  }));

it("ends a tree that is over its limit, and says so", () =>
  played({ wide: (self) => trees.wide(self) }, async ({ guard, living, said }) => {
    assert.equal(await guard({ processesMax: 10 }).run(request("wide")), 128 + 9);
    assert.deepEqual(living(), []);
    assert.match(said.join(), /^limit exceeded: 31 processes, \d+ KiB; the tree is ended$/);
  }));

it("says once that a limit was exceeded, and names what it could not end", () =>
  played({ stuck: stuck(() => false) }, async ({ guard, living, said }) => {
    assert.equal(await guard({ processesMax: 0 }).run(request("stuck")), 1);
    const left = living().map(({ pid }) => `could not end pid ${pid}`);
    assert.deepEqual(said.slice(1), left);
    assert.match(said[0] ?? "", /^limit exceeded: \d processes, /);
  }));

it("is outlived by nothing with its marker when it is killed: its guardian ends it", () =>
  played({ setsid: trees.setsid }, async ({ guard, living, platform, simulation }) => {
    void guard().run(request("setsid"));
    await untilTrue(() => living().length === 2, 1000, simulation.clock());
    platform.crash();
    await untilTrue(() => living().length === 0, 5000, simulation.clock());
    assert.deepEqual(living(), []);
  }));

it("tells a process that lost its caller from one that launchd has started", () =>
  played({}, async ({ machine, platform, simulation }) => {
    const { kernel } = machine;
    function* sleeper() {
      for (;;) yield { until: () => false };
    }
    const job = kernel.fork(kernel.init, sleeper, {});
    const caller = kernel.fork(platform.own, sleeper, {});
    const child = kernel.fork(caller, sleeper, {});
    assert.deepEqual([isOrphan(platform.darwin, job.pid), isOrphan(platform.darwin, child.pid)], [false, false]);
    kernel.signal(caller, "SIGKILL");
    await untilTrue(() => !caller.isAlive, 1000, simulation.clock());
    assert.deepEqual([isOrphan(platform.darwin, job.pid), isOrphan(platform.darwin, child.pid)], [false, true]);
  }));
