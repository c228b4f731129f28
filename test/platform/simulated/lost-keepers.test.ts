/** A keeper dies between any two steps of what it does, its helpers with it or not: the guardian or the next start ends the rest. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seedsFromEnvironment } from "../contract/simulated.ts";
import { trees, type TreeName } from "../contract/simulated-trees.ts";
import { Machine } from "../../../src/platform/simulated/machine.ts";
import { SimulatedPlatform } from "../../../src/platform/simulated/platform.ts";
import type { Process } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";
import type { Epoch, Watchdog } from "../../../src/platform/types.ts";
import { untilTrue } from "../../../src/platform/wait.ts";
import { patiently } from "../../helpers/until.ts";

const boundMs = 10_000;
const seeds = seedsFromEnvironment(150);

/** Trees that carry the marker or stay in their fence, and so can be told from others whoever dies. */
const marked: TreeName[] = [
  "group",
  "setsid",
  "double-fork",
  "stopped",
  "stops-itself",
  "deaf",
  "wide",
  "deep",
  "escaped",
];
/** Trees with a cleared environment, which only a guard or a fence can tell. */
const cleared: TreeName[] = ["cleared", "cleared-double-fork", "own-subreaper", "chains", "bomb", "re-executed"];

class Scene {
  readonly machine: Machine;
  readonly simulation: Simulation;
  readonly keeper: SimulatedPlatform;
  readonly epoch: Epoch;
  readonly watchdog: Watchdog;

  constructor(simulation: Simulation, proof: "kernel" | "scan") {
    this.simulation = simulation;
    this.machine = new Machine(simulation, { proof, pidMax: 250 });
    for (const [name, program] of Object.entries(trees))
      this.machine.programs.set(name, () => (self) => {
        self.origin = name;
        return program(self);
      });
    this.keeper = SimulatedPlatform.start(this.machine, "keeper");
    this.epoch = this.keeper.open("owner", 1).epoch;
    this.watchdog = this.epoch.watchdog();
  }

  /** Whatever a keeper does, all at once; cut off by its death. */
  work(names: readonly TreeName[]): void {
    const { random } = this.simulation;
    for (let count = 0; count < 4; count += 1) {
      const container = this.epoch.create(`r1-${count}`);
      const command = random.pick(names) ?? "deaf";
      const spawned = container.spawn({ command, args: [], env: {} });
      if (random.chance(0.5)) void spawned.then(() => container.ask("terminate"));
      if (random.chance(0.5)) this.keeper.clock.after(random.fraction() * 3, () => void container.end(boundMs));
    }
  }

  survivors(): Process[] {
    return this.machine.kernel.processes.filter(({ isAlive, origin }) => isAlive && origin in trees);
  }

  async expectNone(): Promise<void> {
    await untilTrue(() => this.survivors().length === 0, boundMs, this.simulation.clock());
    assert.deepEqual(
      this.survivors().map(({ pid, origin, command }) => ({ pid, origin, command })),
      [],
    );
  }

  async moment(): Promise<void> {
    await this.simulation.clock().sleep(this.simulation.random.fraction() * 4);
  }

  kill(command: string): void {
    for (const process of this.machine.kernel.processes)
      if (process.command === command) this.machine.kernel.end(process, { code: null, signal: "SIGKILL" });
  }
}

async function played(proof: "kernel" | "scan", play: (scene: Scene) => Promise<void>): Promise<void> {
  for (let seed = seeds.first; seed < seeds.first + seeds.count; seed += 1) {
    const simulation = new Simulation(seed);
    try {
      await simulation.run(play(new Scene(simulation, proof)));
    } catch (cause) {
      throw new Error(`seed ${seed} (HOLDFAST_SIMULATION_SEED): ${String(cause)}`, { cause });
    }
  }
}

for (const proof of ["kernel", "scan"] as const)
  describe(`a keeper that dies at any moment, proof by ${proof}`, { timeout: patiently(120_000) }, () => {
    it("leaves nothing: the guardian and the guards end it", () =>
      played(proof, async (scene) => {
        await scene.watchdog.ready;
        scene.work([...marked, ...cleared]);
        await scene.moment();
        scene.keeper.crash();
        await scene.expectNone();
      }));

    it("together with its guardian leaves what the next start ends", () =>
      played(proof, async (scene) => {
        await scene.watchdog.ready;
        scene.work([...marked, ...cleared]);
        await scene.moment();
        scene.kill("guardian");
        scene.keeper.crash();
        const next = SimulatedPlatform.start(scene.machine, "keeper").open("owner", 2).epoch;
        const { left } = await next.sweepEarlier(boundMs);
        assert.deepEqual(left, []);
        // A guard that has its hands full is not waited for, and it goes on.
        if (proof === "scan") await scene.expectNone();
        assert.deepEqual(scene.survivors(), []);
      }));

    it("together with all its helpers leaves what the next start ends, if that is marked or fenced", () =>
      played(proof, async (scene) => {
        await scene.watchdog.ready;
        scene.work(proof === "kernel" ? [...marked, ...cleared] : marked);
        await scene.moment();
        for (const helper of ["guardian", "guard"]) scene.kill(helper);
        scene.keeper.crash();
        const next = SimulatedPlatform.start(scene.machine, "keeper").open("owner", 2).epoch;
        assert.deepEqual((await next.sweepEarlier(boundMs)).left, []);
        assert.deepEqual(scene.survivors(), []);
        assert.deepEqual((await next.sweepEarlier(boundMs)).ended, [], "asked again it finds nothing");
      }));
  });
