/** What cannot be killed is looked at at intervals until the bound, never without a pause: the keeper has other runs to serve. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endFenced, endScanned, type System } from "../../src/platform/ending.ts";
import { Simulation } from "../../src/platform/simulated/simulation.ts";
import { endStrays, sweepOwner } from "../../src/platform/sweep.ts";
import type { ProcessInfo } from "../../src/platform/types.ts";

const boundMs = 2000;
/** At most one in a millisecond. */
const looksMax = boundMs;
const environment = "HOLDFAST_RUN=/owner/r1";
const stuck: ProcessInfo = {
  pid: 4711,
  ppid: 1,
  startTime: "7",
  bootId: "boot",
  state: "uninterruptible",
  rssBytes: 0,
  cpuMs: 0,
};

/** A machine with one process that no signal ends, of which its tree knows nothing. */
class StuckMachine {
  readonly simulation = new Simulation(1);
  looks = 0;
  readonly #shown: ProcessInfo;

  constructor(shown: ProcessInfo = stuck) {
    this.#shown = shown;
  }

  get system(): System {
    return {
      clock: this.simulation.clock(),
      signal: () => false,
      processes: {
        read: (pid) => (pid === stuck.pid ? this.#look() : undefined),
        pids: () => [stuck.pid],
        children: () => [],
        descendants: () => [],
        environment: () => environment,
        command: () => "",
      } as Partial<System["processes"]> as System["processes"],
    };
  }

  marked = async (): Promise<ProcessInfo[]> => [this.#look()];

  #look(): ProcessInfo {
    this.looks += 1;
    if (this.looks > 10 * looksMax) throw new Error("it looks without a pause");
    return this.#shown;
  }
}

const tree = { members: () => [], looksEmpty: () => true, stand: () => undefined, isPopulated: () => false };
const ends: Record<string, (machine: StuckMachine) => Promise<readonly unknown[]>> = {
  "a scanned tree": ({ system, marked }) => endScanned(system, { ...tree, marked }, boundMs),
  "a fenced tree": ({ system, marked }) =>
    endFenced(system, { ...tree, kill: () => {}, dismissHelpers: async () => {}, marked }, boundMs),
  "the strays of a keeper": async ({ system, marked }) =>
    (
      await endStrays(
        system,
        async () => new Map([["r1", await marked()]]),
        () => true,
        boundMs,
      )
    ).left,
  "what an earlier keeper left": async ({ system }) => (await sweepOwner(system, "owner", () => false, boundMs)).left,
};

describe("a process that no signal ends", () => {
  for (const [name, end] of Object.entries(ends))
    it(`is named at the bound, after few looks, by the end of ${name}`, async () => {
      const machine = new StuckMachine();
      const left = await machine.simulation.run(end(machine));
      assert.equal(left.length, 1);
      assert.ok(machine.simulation.nowMs >= boundMs && machine.simulation.nowMs < boundMs + 200);
      assert.ok(machine.looks <= looksMax, `${machine.looks} looks in ${boundMs} ms`);
    });
});
