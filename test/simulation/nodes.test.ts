/** A gateway with a node on a second machine, clocks that jump, and machines that stand still. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Machine } from "../../src/platform/simulated/machine.ts";
import { Simulation } from "../../src/platform/simulated/simulation.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { approve, nodeScenes } from "./node-scenes.ts";
import { playPoints } from "./play.ts";
import { playTimeScene, timeScenes } from "./time-scenes.ts";
import { World } from "./world.ts";

leavesNothing();

describe("a crash at any point of a scene with a node", () => {
  it("leaves nothing on either machine, starts nothing twice, and both records agree: every 250th point", async () => {
    const names = Object.keys(nodeScenes);
    const { played, met, broken } = await playPoints({ every: 250, first: 100, names });
    assert.ok(played >= 2 * names.length, `${played} points`);
    const few = Object.entries(met).filter(([, count]) => count < 100);
    assert.deepEqual(few, [], "scenes with fewer points than any had");
    const all = Object.values(met).reduce((sum, count) => sum + count);
    assert.ok(all > 7000, `${all} points in all`);
    assert.deepEqual(broken, []);
  });
});

describe("time that passes for nothing on a machine", () => {
  it("does not change the order of what reaches it meanwhile", async () => {
    const simulation = new Simulation(1);
    const machine = new Machine(simulation, { proof: "kernel" });
    const clock = simulation.clock(machine.start("some process"));
    const heard: string[] = [];
    machine.suspend();
    await simulation.pass(1000);
    clock.soon(() => heard.push("first"));
    await simulation.pass(1000);
    machine.resume();
    clock.after(500, () => heard.push("second"));
    await simulation.pass(600);
    assert.deepEqual(heard, ["first", "second"]);
    assert.ok(clock.monotonic() < 700, "the monotonic clock stood still");
  });

  for (const [name, scene] of Object.entries(timeScenes))
    it(`ends no process, lease or session: ${name}`, async () => {
      const world = new World({ seed: 1, node: true });
      try {
        await playTimeScene(world, scene, approve);
      } finally {
        world.remove();
      }
    });
});
