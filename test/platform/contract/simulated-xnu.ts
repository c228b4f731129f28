/** The contract's backend for macOS: the product's own containers and epochs, over a simulated XNU. */
import { SimulatedXnuPlatform } from "../../../src/platform/simulated/xnu-platform.ts";
import { modelBackend, type Seeds } from "./simulated.ts";
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
