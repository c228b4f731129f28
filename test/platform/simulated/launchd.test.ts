/** launchd on the simulated XNU has the rules that the coalition tier rests on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readJob } from "../../../src/platform/darwin/launchctl-output.ts";
import type { Program } from "../../../src/platform/simulated/process.ts";
import type { SimulatedXnuPlatform } from "../../../src/platform/simulated/xnu-platform.ts";
import { untilTrue } from "../../../src/platform/wait.ts";
import { asleep, boundMs, leaving, play, World } from "./launchd-world.ts";

describe("launchd, simulated", () => {
  /** Loads a job of this program and waits until it runs. */
  async function load(world: World, label: string, program: Program, isKept: boolean): Promise<SimulatedXnuPlatform> {
    const platform = world.keeper();
    world.jobs.launchd.propertyLists.set(label, { label, isKept, program, birth: { command: label } });
    world.jobs.launchd.idleProbability = 0;
    const launchctl = world.jobs.launchd.launchctl(platform);
    assert.equal((await launchctl(["bootstrap", "gui/501", label])).code, 0);
    return platform;
  }

  it(
    "gives each job a coalition of its own, which no descendant leaves",
    play(async (world) => {
      const platform = await load(world, "a", leaving, false);
      await load(world, "b", asleep, false);
      assert.ok(await untilTrue(() => world.living("hidden").length === 1, boundMs, platform.clock));
      const { xnu } = platform.darwin;
      const [hidden] = world.living("hidden");
      const [other] = world.living("b");
      const ids = [hidden, other].map((each) => xnu.coalition(each?.pid ?? 0));
      assert.notEqual(ids[0], ids[1]);
      assert.ok(!ids.includes(xnu.coalition(platform.own.pid)));
      assert.equal(hidden?.parent, world.machine.kernel.init);
      const job = readJob((await world.jobs.launchd.launchctl(platform)(["print", "gui/501/a"])).stdout);
      assert.equal(job.coalition, ids[0]);
      assert.deepEqual(job.exit, { code: 0, signal: null });
    }),
  );

  it(
    "leaves a grandchild in a session of its own when a job is booted out",
    play(async (world) => {
      const platform = await load(world, "a", leaving, false);
      assert.ok(await untilTrue(() => world.living("hidden").length === 1, boundMs, platform.clock));
      const launchctl = world.jobs.launchd.launchctl(platform);
      assert.equal((await launchctl(["bootout", "gui/501/a"])).code, 0);
      assert.equal((await launchctl(["bootout", "gui/501/a"])).code, 3);
      assert.equal((await launchctl(["print", "gui/501/a"])).code, 113);
      assert.equal(world.living("hidden").length, 1);
    }),
  );

  it(
    "starts a kept job again when it was killed, and not when it ended well",
    play(async (world) => {
      let isDone = false;
      const platform = await load(
        world,
        "a",
        function* kept() {
          yield { until: () => isDone };
        },
        true,
      );
      const [killed] = world.living("a");
      assert.ok(killed !== undefined);
      world.machine.kernel.signal(killed, "SIGKILL");
      assert.ok(await untilTrue(() => world.living("a").some((each) => each !== killed), boundMs, platform.clock));
      isDone = true;
      assert.ok(await untilTrue(() => world.living("a").length === 0, boundMs, platform.clock));
      await platform.clock.sleep(60_000);
      assert.equal(world.living("a").length, 0);
    }),
  );
});
