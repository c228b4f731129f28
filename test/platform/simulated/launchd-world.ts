/** A machine with XNU's rules and a launchd, and a run that leaves everything by which it could be known but its coalition. */
import assert from "node:assert/strict";
import { SimulatedLaunchd } from "../../../src/platform/simulated/launchd.ts";
import { Machine } from "../../../src/platform/simulated/machine.ts";
import type { Process, Program } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";
import { SimulatedXnuPlatform, type SimulatedJobs } from "../../../src/platform/simulated/xnu-platform.ts";
import { untilTrue } from "../../../src/platform/wait.ts";
import { seedsFromEnvironment } from "../contract/simulated.ts";

export const owner = "owner00000000001";
export const boundMs = 20_000;
const { count, first } = seedsFromEnvironment(64);

export function* asleep(): ReturnType<Program> {
  for (;;) yield { until: () => false };
}

/** Leaves its parent, session and environment, as its main process ends. */
export const leaving: Program = function* leaving(self) {
  self.fork(function* between(middle) {
    middle.fork((hidden) => {
      hidden.setSession();
      hidden.exec("hidden", "");
      return asleep();
    });
    yield undefined;
  });
  self.print("ready\n");
  yield undefined;
  return 0;
};

export class World {
  readonly machine: Machine;
  readonly jobs: SimulatedJobs;

  constructor(simulation: Simulation) {
    this.machine = new Machine(simulation, { proof: "kernel", rules: "xnu", pidMax: 120 });
    this.machine.programs.set("leaving", () => leaving);
    this.machine.programs.set("asleep", () => asleep);
    this.jobs = { launchd: new SimulatedLaunchd(this.machine), disks: new Map() };
  }

  keeper(): SimulatedXnuPlatform {
    return new SimulatedXnuPlatform(this.machine, this.machine.start("keeper"), { pidMax: 120, jobs: this.jobs });
  }

  living(command: string): Process[] {
    return this.machine.kernel.processes.filter((each) => each.isAlive && each.command === command);
  }

  /** A keeper whose run has left everything by which it could be known, but for its coalition. */
  async lost(): Promise<void> {
    const keeper = this.keeper();
    const { epoch } = keeper.open(owner, 1);
    await epoch.create("r1-1").spawn({ command: "leaving", args: [], env: {} });
    assert.ok(await untilTrue(() => this.living("hidden").length === 1, boundMs, keeper.clock));
    keeper.crash();
  }
}

export function play(scene: (world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    for (let seed = first; seed < first + count; seed += 1) {
      const simulation = new Simulation(seed);
      await simulation.run(scene(new World(simulation))).catch((cause: unknown) => {
        throw new Error(`HOLDFAST_SIMULATION_SEED=${seed}: ${String(cause)}`, { cause });
      });
    }
  };
}
