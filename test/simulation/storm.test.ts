/** The whole gateway on simulated time: whatever order a seed draws, what is promised holds. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { playPoints, playStorm } from "./play.ts";
import { gatewayScenes } from "./points.ts";
import { Storm } from "./storm.ts";

leavesNothing();

/** Fixed ones, so that a change that breaks one is seen at once; `.ci/run` draws new ones each time. */
const seeds = Number(process.env["HOLDFAST_SIMULATION_SEEDS"] ?? 6);
const first = Number(process.env["HOLDFAST_SIMULATION_SEED"] ?? 1);

describe("a storm of clients, operators and faults", () => {
  for (let seed = first; seed < first + seeds; seed += 1)
    it(`leaves no process without an owner, no call unanswered, no record untrue: seed ${seed}`, async () => {
      const failure = await playStorm(seed, 10);
      assert.equal(failure, undefined, failure === undefined ? "" : `${failure.promise}\n${failure.report}`);
    });
});

describe("a seed", () => {
  for (const seed of [11, 12])
    it(`plays the same storm each time, to the last drawn number: ${seed}`, async () => {
      const play = async () => {
        const storm = new Storm({ seed, minutes: 2 });
        try {
          await storm.run();
          const { simulation, notes } = storm.world;
          return { notes: [...notes], nowMs: simulation.nowMs, next: simulation.random.fraction() };
        } finally {
          storm.world.remove();
        }
      };
      assert.deepEqual(await play(), await play());
    });
});

describe("a crash at any point of a scene", () => {
  it("leaves nothing behind and starts nothing twice: every twentieth point", async () => {
    const names = Object.keys(gatewayScenes);
    const { played, met, broken } = await playPoints({ every: 20, first: 1 + (first % 20), names });
    assert.ok(played > 200, `${played} points`);
    const few = Object.entries(met).filter(([, count]) => count < 50);
    assert.deepEqual(few, [], "scenes with fewer points than any had");
    const all = Object.values(met).reduce((sum, count) => sum + count);
    assert.ok(all > 5000, `${all} points in all`);
    assert.deepEqual(broken, []);
  });
});
