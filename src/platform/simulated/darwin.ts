/** What the code for macOS gets on a simulated machine with XNU's rules. */
import type { DarwinSystem, Started } from "../darwin/darwin.ts";
import { HoldfastError } from "../../errors.ts";
import type { MainExit } from "../types.ts";
import { prepare } from "./birth.ts";
import { markerIn, startSimulatedGuardian } from "./guardian.ts";
import type { SimulatedSystem } from "./system.ts";
import { SimulatedXnu, type SimulatedXnuOptions } from "./xnu.ts";

export function simulatedDarwin(options: SimulatedXnuOptions & { readonly pidMax: number }): DarwinSystem {
  const { platform, pidMax } = options;
  const xnu = new SimulatedXnu(options);
  return {
    xnu: () => xnu,
    clock: platform.clock,
    random: platform.machine.simulation.random,
    pidMax,
    spawn: (request, marker) => start(platform, request, marker),
    startGuardian: (marker) =>
      startSimulatedGuardian(platform, {
        birth: {},
        *endFirst() {},
        frontOf: ({ pid }) => platform.kernel.find(pid),
        isMeant: ({ environment, command }) => !xnu.isRestricted(command) && markerIn(environment).includes(marker),
        endLast: () => {},
      }),
  };
}

function start(platform: SimulatedSystem, ...[request, marker]: Parameters<DarwinSystem["spawn"]>): Started {
  const { program, birth, abandon, ...streams } = prepare(platform, request, marker);
  try {
    const main = platform.spawn(request, program, { ...birth, isSessionLeader: true });
    const exit = new Promise<MainExit>((resolve) => {
      main.whenOver((how) => {
        abandon();
        platform.clock.soon(() => resolve(how));
      });
    });
    return { ...streams, pid: main.pid, born: platform.clock.sleep(0), exit };
  } catch (thrown) {
    abandon();
    if (!(thrown instanceof HoldfastError)) throw thrown;
    const never = new Promise<MainExit>(() => {});
    return { stdin: null, stdout: null, stderr: null, pid: 0, born: Promise.reject(thrown), exit: never };
  }
}
