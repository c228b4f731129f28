/** The world of losing.test.ts: one keeper on a simulated XNU, and programs that get away from it. */
import assert from "node:assert/strict";
import { Machine } from "../../../src/platform/simulated/machine.ts";
import type { Pause, Process, Program } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";
import { SimulatedXnuPlatform } from "../../../src/platform/simulated/xnu-platform.ts";
import type { Container } from "../../../src/platform/types.ts";
import { untilTrue } from "../../../src/platform/wait.ts";

export const pidMax = 200;
export const boundMs = 2000;
const seeds = 10;
export const asleep: Pause = { until: () => false };

export interface World {
  readonly simulation: Simulation;
  readonly machine: Machine;
  readonly keeper: SimulatedXnuPlatform;
  /** Starts the program as a run of the keeper. */
  run: (main: Program) => Promise<Container>;
  living: (origin: string) => Process[];
  until: (look: () => boolean) => Promise<void>;
}

interface Rules {
  readonly restricted?: readonly string[];
  readonly signalsExactly?: boolean;
}

export async function played(scene: (world: World) => Promise<void>, { restricted = [], ...rules }: Rules = {}) {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const simulation = new Simulation(seed);
    const machine = new Machine(simulation, { proof: "scan", rules: "xnu", pidMax });
    const keeper = startOn(machine, restricted, rules);
    const epoch = keeper.open("owner", 1).epoch;
    let runs = 0;
    const world: World = {
      simulation,
      machine,
      keeper,
      async run(main) {
        runs += 1;
        machine.programs.set("main", () => main);
        const container = epoch.create(`r1-${runs}`);
        await container.spawn({ command: "main", args: [], env: {} });
        return container;
      },
      living: (origin) => machine.kernel.processes.filter((each) => each.isAlive && each.origin === origin),
      async until(look) {
        assert.ok(await untilTrue(look, boundMs, simulation.clock()), "not in time");
      },
    };
    await simulation.run(scene(world)).catch((cause: unknown) => {
      throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
    });
  }
}

export function startOn(machine: Machine, restricted: readonly string[], rules: Omit<Rules, "restricted">) {
  return new SimulatedXnuPlatform(machine, machine.start("keeper"), {
    ...rules,
    pidMax,
    restricted: new Set(restricted),
  });
}

/** What gets away, by name. */
export const escaping = (play: (self: Process) => ReturnType<Program>): Program =>
  function* escape(self) {
    self.origin = "escaped";
    return yield* play(self);
  };

export function* sleep(): ReturnType<Program> {
  for (;;) yield asleep;
}

/** Forks twice: its child's parent is gone before the child takes a step. The child becomes another program, in its own session. */
export function twice(command: string, environment?: string): Program {
  return function* main(self) {
    const between = self.fork(function* fork(middle) {
      middle.fork(
        escaping(function* orphan(last) {
          yield { until: () => !between.isAlive };
          last.setSession();
          last.exec(command, environment);
          for (;;) yield asleep;
        }),
      );
      yield undefined;
    });
    for (;;) yield asleep;
  };
}

/** The tier says that nothing is left, and something is. */
export async function expectLost(world: World, container: Container): Promise<Process[]> {
  assert.deepEqual(await container.end(boundMs), [], "the proof");
  const left = world.living("escaped");
  assert.ok(left.length > 0, "it was seen, although nothing tells of it");
  return left;
}

/** Where it is a matter of luck whether a look comes in time: lost with some seeds. */
export async function lostSometimes(start: (world: World) => Promise<Container>): Promise<void> {
  let lost = 0;
  await played(async (world) => {
    const container = await start(world);
    assert.deepEqual(await container.end(boundMs), [], "the proof");
    if (world.living("escaped").length > 0) lost += 1;
  });
  assert.ok(lost > 0, "a look saw all of it, with every seed");
}

export const isAway = ({ living }: World, command: string) =>
  living("escaped").some((each) => each.command === command);
