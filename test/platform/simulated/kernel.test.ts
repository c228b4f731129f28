/** The model kernel does with processes what a real one does: otherwise what the simulation finds would mean nothing. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Kernel, KernelRefusal } from "../../../src/platform/simulated/kernel.ts";
import { Machine } from "../../../src/platform/simulated/machine.ts";
import { SimulatedPlatform } from "../../../src/platform/simulated/platform.ts";
import type { Process, Program } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";

const seeds = 50;
const sleeper: Program = function* sleep() {
  for (;;) yield { until: () => false };
};

/** Plays the same with many seeds. */
async function played(scene: (kernel: Kernel, simulation: Simulation) => Promise<void>, pidMax = 1000): Promise<void> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const simulation = new Simulation(seed);
    await simulation.run(scene(new Kernel(simulation, { pidMax }), simulation));
  }
}

/** A process that runs what it is given, step by step. */
function start(kernel: Kernel, program: Program = sleeper, parent: Process = kernel.init): Process {
  return kernel.fork(parent, program, {});
}

const ms = (simulation: Simulation, count: number) => simulation.clock().sleep(count);

describe("the model kernel", () => {
  it("starts nothing for a process that is gone", () =>
    played(async (kernel) => {
      const gone = start(kernel);
      kernel.end(gone, { code: null, signal: "SIGKILL" });
      assert.throws(() => start(kernel, sleeper, gone), KernelRefusal);
    }));

  it("hands orphans to the nearest subreaper above, or else to init", () =>
    played(async (kernel, simulation) => {
      const outer = start(kernel);
      outer.isSubreaper = true;
      const middle = start(kernel, sleeper, outer);
      const inner = start(kernel, sleeper, middle);
      const leaf = start(kernel, sleeper, inner);
      kernel.signal(inner, "SIGKILL");
      await ms(simulation, 5);
      assert.equal(leaf.parent, outer);
      kernel.signal(outer, "SIGKILL");
      await ms(simulation, 5);
      assert.deepEqual([leaf.parent, middle.parent], [kernel.init, kernel.init]);
    }));

  it("keeps the dead on the table until they are waited for, and their numbers with them", () =>
    played(async (kernel, simulation) => {
      const parent = start(kernel);
      const child = start(kernel, function* end() {}, parent);
      await ms(simulation, 5);
      assert.equal(kernel.info(child).state, "zombie");
      assert.equal(parent.reap(), child);
      assert.equal(kernel.find(child.pid), undefined);
    }));

  it("gives numbers again, never start times, and refuses a birth when none is free", () =>
    played(async (kernel, simulation) => {
      const first = start(kernel, function* end() {});
      await ms(simulation, 5);
      let again: Process | undefined;
      for (let count = 0; count < 20 && again?.pid !== first.pid; count += 1) {
        again = start(kernel, function* end() {});
        await ms(simulation, 5);
      }
      assert.equal(again?.pid, first.pid);
      assert.notEqual(again?.startTime, first.startTime);
      assert.throws(() => {
        for (;;) start(kernel);
      }, KernelRefusal);
    }, 10));

  it("ends a process by a polite signal unless it ignores or handles that, which a child inherits or does not", () =>
    played(async (kernel, simulation) => {
      const asked: string[] = [];
      const [plain, ignoring, handling] = [start(kernel), start(kernel), start(kernel)];
      ignoring.ignored.add("SIGTERM");
      handling.handlers.set("SIGTERM", () => asked.push("handled"));
      const children = [start(kernel, sleeper, ignoring), start(kernel, sleeper, handling)];
      for (const process of [plain, ignoring, handling, ...children]) kernel.signal(process, "SIGTERM");
      await ms(simulation, 5);
      const alive = [plain, ignoring, handling, ...children].map((process) => process.isAlive);
      assert.deepEqual(alive, [false, true, true, true, false]);
      assert.deepEqual(asked, ["handled"]);
      assert.equal(plain.exit?.signal, "SIGTERM");
    }));

  it("stops and continues; a stopped process hears only a kill", () =>
    played(async (kernel, simulation) => {
      let steps = 0;
      const process = start(kernel, function* count() {
        for (;;) {
          steps += 1;
          yield { untilMs: kernel.nowMs() + 1 };
        }
      });
      kernel.signal(process, "SIGSTOP");
      await ms(simulation, 5);
      const before = steps;
      kernel.signal(process, "SIGTERM");
      await ms(simulation, 5);
      assert.deepEqual([steps, process.isAlive, kernel.info(process).state], [before, true, "stopped"]);
      kernel.signal(process, "SIGCONT");
      await ms(simulation, 5);
      assert.equal(process.isAlive, false, "the pending signal is heard");
    }));

  it("kills nothing that waits uninterruptibly, until it is released", () =>
    played(async (kernel, simulation) => {
      let isReleased = false;
      const process = start(kernel, function* wait() {
        yield { uninterruptible: () => isReleased };
        yield { until: () => false };
      });
      await ms(simulation, 1);
      kernel.signal(process, "SIGKILL");
      await ms(simulation, 100);
      assert.equal(kernel.info(process).state, "uninterruptible");
      isReleased = true;
      await ms(simulation, 5);
      assert.equal(process.exit?.signal, "SIGKILL");
    }));

  it("lets a process that is being killed fork once more, sometimes; a kill of its fence takes that child, too", async () => {
    const escaped = { signal: 0, fence: 0 };
    for (const how of ["signal", "fence"] as const)
      await played(async (kernel, simulation) => {
        const fence = kernel.makeFence("/fence");
        const forking: Program = function* fork(self) {
          for (let count = 0; count < 50; count += 1) {
            self.fork(sleeper);
            yield undefined;
          }
        };
        const process = kernel.fork(kernel.init, forking, { fence });
        await ms(simulation, 0.1);
        for (const child of process.children) kernel.signal(child, "SIGKILL");
        if (how === "signal") kernel.signal(process, "SIGKILL");
        else kernel.killFence(fence);
        await ms(simulation, 5);
        escaped[how] += kernel.within(fence).length;
      });
    assert.equal(escaped.fence, 0);
    assert.ok(escaped.signal > 0 && escaped.signal <= seeds, `${escaped.signal} escaped`);
  });

  it("refuses a birth past a fence's limit, and removes a fence only when it is empty", () =>
    played(async (kernel, simulation) => {
      const fence = kernel.makeFence("/fence");
      const inner = kernel.makeFence("/fence/inner", fence);
      fence.processesMax = 2;
      const both = [fence, inner].map((each) => kernel.fork(kernel.init, sleeper, { fence: each }));
      assert.throws(() => kernel.fork(kernel.init, sleeper, { fence: inner }), KernelRefusal);
      assert.equal(fence.refusals, 1);
      assert.equal(kernel.removeFence(fence), false);
      for (const process of both) kernel.signal(process, "SIGKILL");
      await ms(simulation, 5);
      assert.equal(kernel.removeFence(fence), true);
      assert.throws(() => kernel.fork(kernel.init, sleeper, { fence: inner }), KernelRefusal);
    }));
});

describe("a simulation", () => {
  /** What happened to a forking tree, step by step. */
  async function traced(seed: number): Promise<string[]> {
    const simulation = new Simulation(seed);
    const kernel = new Kernel(simulation);
    const trace: string[] = [];
    const branch = (depth: number): Program =>
      function* grow(self) {
        trace.push(`${simulation.nowMs} ${self.pid} ${depth}`);
        if (depth > 0) for (let count = 0; count < 2; count += 1) self.fork(branch(depth - 1));
        yield undefined;
      };
    start(kernel, branch(4));
    await simulation.pass(50);
    return trace;
  }

  it("is the same for the same seed, and another one for another", async () => {
    assert.deepEqual(await traced(1), await traced(1));
    assert.notDeepEqual(await traced(1), await traced(2));
  });

  it("rejects work that can never end, and work that does not end in time", async () => {
    await assert.rejects(new Simulation(1).run(new Promise(() => {})), /nothing will ever happen/);
    const simulation = new Simulation(1);
    simulation.clock().every(10, () => {});
    await assert.rejects(simulation.run(new Promise(() => {}), 1000), /not over after 1000 ms/);
  });

  it("fires no timer of a process that is dead, and gives its calls no effect", async () => {
    const simulation = new Simulation(1);
    const machine = new Machine(simulation, { proof: "kernel" });
    const [first, second] = [SimulatedPlatform.start(machine, "first"), SimulatedPlatform.start(machine, "second")];
    let fired = 0;
    first.clock.after(5, () => (fired += 1));
    first.clock.every(1, () => (fired += 1));
    first.crash();
    const ref = second.identify(second.own.pid);
    assert.ok(ref !== undefined);
    assert.equal(first.signal(ref, "SIGKILL"), false);
    await simulation.pass(20);
    assert.deepEqual([fired, second.own.isAlive], [0, true]);
  });

  it("survives a failure of power with an empty table and another boot", async () => {
    const simulation = new Simulation(1);
    const machine = new Machine(simulation, { proof: "kernel" });
    const lost = SimulatedPlatform.start(machine, "keeper");
    const ref = lost.identify(lost.own.pid);
    machine.reboot();
    await simulation.pass(5);
    const platform = SimulatedPlatform.start(machine, "keeper");
    assert.ok(ref !== undefined);
    assert.equal(platform.own.pid, ref.pid, "the number is given again");
    assert.equal(platform.isSameAlive(ref), false);
    assert.equal(platform.kernel.processes.length, 2);
  });
});
