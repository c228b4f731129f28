/** The guardian of a simulated keeper: waits for the keeper's death, then ends everything that it is to end, as the real ones do. */
import { markerVariable } from "../marker.ts";
import type { ProcessRef, Watchdog } from "../types.ts";
import type { Birth, Pause, Process, Program } from "./process.ts";
import type { SimulatedSystem } from "./system.ts";

export interface GuardianDuty {
  readonly birth: Birth;
  /** Before the front. */
  endFirst(): Generator<Pause, void, void>;
  /** The front, when it is told of it. */
  frontOf(ref: ProcessRef): Process | undefined;
  /** Whether it knows a process for one of its epoch. */
  isMeant(process: Process): boolean;
  endLast(): void;
}

export function startSimulatedGuardian(platform: SimulatedSystem, duty: GuardianDuty): Watchdog {
  const { kernel, own: keeper, clock } = platform;
  let front: Process | undefined;
  let isDismissed = false;
  let isReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = () => void clock.soon(resolve);
  });
  const guardian: Program = function* guard(self) {
    self.withstand("SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE");
    yield undefined;
    isReady();
    yield { until: () => !keeper.isAlive || isDismissed };
    if (isDismissed) return 0;
    yield* duty.endFirst();
    if (front !== undefined) kernel.signal(front, "SIGKILL");
    const marked = () => kernel.processes.filter((each) => each.isAlive && duty.isMeant(each));
    while (marked().length > 0) {
      for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
        for (const each of marked()) {
          kernel.signal(each, signal);
          yield undefined;
        }
      }
      yield { untilMs: kernel.nowMs() + 1 };
    }
    duty.endLast();
    return 0;
  };
  const helper = platform.startHelper(guardian, { command: "guardian", environment: "", ...duty.birth });
  const dismiss = () => (isDismissed = true);
  return Object.assign(helper, { ready, dismiss, guard: (ref: ProcessRef) => void (front = duty.frontOf(ref)) });
}

export function markerIn(environment: string): string {
  return environment.split("\0").find((entry) => entry.startsWith(`${markerVariable}=`)) ?? "";
}
