/** The contract's backend for macOS: the product's own containers and epochs, over a simulated XNU. */
import { SimulatedLaunchd } from "../../../src/platform/simulated/launchd.ts";
import type { Machine } from "../../../src/platform/simulated/machine.ts";
import { SimulatedXnuPlatform, type SimulatedJobs } from "../../../src/platform/simulated/xnu-platform.ts";
import { modelBackend, type Model, type Seeds } from "./simulated.ts";
import type { Backend } from "./backend.ts";
import { hiding } from "./suite.ts";

/** More than twice the processes of a scene, as with a real table. */
const pidMax = 120;

/** losing.test.ts shows how. */
const unseen = "a process whose parent came and went between two looks is unseen if its environment is cleared";

export function chainBackend(seeds: Seeds): Backend {
  const model = {
    name: "XNU's rules, chain tier",
    proof: "scan",
    machine: { proof: "scan", pidMax, rules: "xnu" },
    start: (machine, command) => new SimulatedXnuPlatform(machine, machine.start(command), { pidMax }),
    cannot: { limits: "a scan holds none" },
    bestEffort: {
      [`${hiding}cleared-double-fork`]: unseen,
      [`${hiding}own-subreaper`]: unseen,
      [`${hiding}chain`]: unseen,
      [`${hiding}chains`]: unseen,
      // Nothing stands in front of a command here.
      "ends the tree when the helper in front of the command is killed": unseen,
      "tells the end of a command whose helper is killed before it was born": unseen,
    },
  } as const satisfies Parameters<typeof modelBackend>[0];
  return modelBackend(model, seeds);
}

/** Every process of a machine shares its launchd. */
class SharedJobs {
  readonly #known = new WeakMap<Machine, SimulatedJobs>();

  on(machine: Machine): SimulatedJobs {
    const jobs = this.#known.get(machine) ?? { launchd: new SimulatedLaunchd(machine), disks: new Map() };
    this.#known.set(machine, jobs);
    return jobs;
  }
}

export function coalitionBackend(seeds: Seeds): Backend {
  const shared = new SharedJobs();
  const model = {
    name: "XNU's rules, coalition tier",
    proof: "kernel",
    machine: { proof: "kernel", pidMax, rules: "xnu" },
    start: (machine, command) =>
      new SimulatedXnuPlatform(machine, machine.start(command), { pidMax, jobs: shared.on(machine) }),
    cannot: { limits: "XNU does not limit the tasks of a coalition" },
    leftovers(machine) {
      const { launchd, disks } = shared.on(machine);
      return [...launchd.labels, ...[...disks.values()].flatMap((disk) => [...disk.keys()])];
    },
  } as const satisfies Model;
  return modelBackend(model, seeds);
}
