/** A front whose keeper is gone ends, whenever it gets to listening for that: it would hold its port and its databases for ever. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Machine } from "../../src/platform/simulated/machine.ts";
import { SimulatedPlatform } from "../../src/platform/simulated/platform.ts";
import { Simulation } from "../../src/platform/simulated/simulation.ts";
import { dataDescriptor } from "../../src/protocol/keeper/channel.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

leavesNothing();

describe("a front that listens for the loss of its keeper after it was lost", () => {
  it("is told at once", async () => {
    const front = fork(fileURLToPath(new URL("../fixtures/late-front.ts", import.meta.url)), [], {
      stdio: ["ignore", "ignore", "inherit", "ipc", "pipe"],
    });
    front.stdio[dataDescriptor]?.on("error", () => {});
    front.disconnect();
    assert.deepEqual(await once(front, "exit"), [7, null]);
  });

  it("is told in the simulation, too, whenever its keeper died", async () => {
    for (let diesAfterMs = 0; diesAfterMs < 1; diesAfterMs += 0.05) {
      const simulation = new Simulation(1);
      const machine = new Machine(simulation, { proof: "kernel" });
      const clock = simulation.clock();
      machine.frontCode = ({ onLost, exit }) => void clock.after(0.5, () => onLost(() => exit(1)));
      const keeper = SimulatedPlatform.start(machine, "keeper");
      const front = keeper.forkFront({ entry: "front", directory: "/", env: {}, dataDescriptor });
      clock.after(diesAfterMs, () => keeper.crash());
      await simulation.pass(5);
      assert.equal(machine.kernel.find(front.pid)?.isAlive ?? false, false, `keeper dead after ${diesAfterMs} ms`);
    }
  });
});
