/** What the coalition tier makes of launchd and coalitions, in orders of events that a real machine shows rarely. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LaunchctlResult } from "../../../src/platform/darwin/launchctl.ts";
import { untilTrue } from "../../../src/platform/wait.ts";
import { asleep, boundMs, owner, play, World } from "./launchd-world.ts";

describe("the coalition tier on the simulated launchd", () => {
  const refusals: [name: string, verb: string, result: LaunchctlResult, expected: RegExp][] = [
    [
      "fails",
      "bootstrap",
      { code: 5, stdout: "", stderr: "Bootstrap failed: 5: Input/output error" },
      /exit code 5: Boot/,
    ],
    ["hangs", "bootstrap", { code: null, stdout: "", stderr: "", isLate: true }, /gave no answer in time/],
    [
      "is missing",
      "bootstrap",
      { code: null, stdout: "", stderr: "", refused: "ENOENT" },
      /could not be run \(ENOENT\)/,
    ],
  ];
  for (const [name, verb, result, expected] of refusals)
    it(
      `starts nothing and leaves nothing when launchctl ${name}`,
      play(async (world) => {
        const keeper = world.keeper();
        world.jobs.launchd.refusals.set(verb, result);
        const container = keeper.open(owner, 1).epoch.create("r1-1");
        await assert.rejects(container.spawn({ command: "asleep", args: [], env: {} }), expected);
        assert.deepEqual(await container.end(boundMs), []);
        assert.deepEqual(world.jobs.launchd.labels, []);
        assert.equal(world.jobs.disks.get(owner)?.size, 0);
        assert.equal(world.living("asleep").length, 0);
      }),
    );

  it(
    "never lets a command begin whose run was ended before",
    play(async (world) => {
      let hasBegun = false;
      world.machine.programs.set(
        "witness",
        () =>
          function* witness() {
            hasBegun = true;
            yield* asleep();
          },
      );
      const container = world.keeper().open(owner, 1).epoch.create("r1-1");
      const spawning = container.spawn({ command: "witness", args: [], env: {} });
      assert.deepEqual(await container.end(boundMs), []);
      assert.equal((await (await spawning).exit).code, null);
      assert.equal(hasBegun, false);
    }),
  );

  it(
    "leaves nothing of a keeper that is lost while it starts a run, at whatever moment, once its guardian is done",
    play(async (world) => {
      const keeper = world.keeper();
      const { epoch } = keeper.open(owner, 1);
      await epoch.watchdog().ready;
      void epoch.create("r1-1").spawn({ command: "leaving", args: [], env: {} });
      await keeper.clock.sleep(world.machine.simulation.random.fraction() * 4);
      const { clock } = world.keeper();
      keeper.crash();
      const isGone = () => world.jobs.launchd.labels.length === 0 && world.living("hidden").length === 0;
      assert.ok(await untilTrue(isGone, 60_000, clock));
      await clock.sleep(20_000);
      assert.ok(isGone(), "nothing comes later");
      assert.equal(world.living("trampoline").length, 0);
      assert.deepEqual([...(world.jobs.disks.get(owner)?.keys() ?? [])], []);
    }),
  );

  it(
    "takes the user's domain where nobody is at a screen",
    play(async (world) => {
      const keeper = world.keeper();
      world.jobs.launchd.hasScreen = false;
      const container = keeper.open(owner, 1).epoch.create("r1-1");
      await container.spawn({ command: "asleep", args: [], env: {} });
      assert.equal((await world.jobs.launchd.launchctl(keeper)(["print", `user/501/holdfast.${owner}.r1-1`])).code, 0);
      assert.deepEqual(await container.end(boundMs), []);
      assert.deepEqual(world.jobs.launchd.labels, []);
    }),
  );

  for (const [name, spoil] of Object.entries<(world: World) => void>({
    "launchd and the record": () => {},
    "launchd alone": (world) => world.jobs.disks.clear(),
    "the record alone": (world) => {
      for (const verb of ["print", "bootout"])
        world.jobs.launchd.refusals.set(verb, { code: 5, stdout: "", stderr: "" });
    },
  }))
    it(
      `finds by ${name} what a lost keeper has left without parent, session and marker`,
      play(async (world) => {
        await world.lost();
        spoil(world);
        const { ended, left } = await world.keeper().open(owner, 2).epoch.sweepEarlier(boundMs);
        assert.deepEqual(left, []);
        assert.equal(world.living("hidden").length, 0);
        assert.ok(ended.some(({ run }) => run === "r1-1"));
      }),
    );

  it(
    "believes no record of another boot",
    play(async (world) => {
      await world.lost();
      const place = world.jobs.disks.get(owner)?.get("r1-1");
      assert.ok(place?.record !== undefined);
      place.record = { ...place.record, boot: "another" };
      world.jobs.launchd.refusals.set("print", { code: 5, stdout: "", stderr: "" });
      const { ended } = await world.keeper().open(owner, 2).epoch.sweepEarlier(boundMs);
      assert.deepEqual(ended, []);
      assert.equal(world.living("hidden").length, 1);
    }),
  );

  it(
    "touches no job of another owner",
    play(async (world) => {
      await world.lost();
      await world.keeper().open("owner00000000002", 2).epoch.sweepEarlier(boundMs);
      assert.equal(world.living("hidden").length, 1);
      assert.equal(world.jobs.launchd.labels.length, 1);
    }),
  );

  it(
    "ends all by a guardian that was killed just before its keeper",
    play(async (world) => {
      const keeper = world.keeper();
      const { epoch } = keeper.open(owner, 1);
      const watchdog = epoch.watchdog();
      await watchdog.ready;
      await epoch.create("r1-1").spawn({ command: "leaving", args: [], env: {} });
      assert.ok(await untilTrue(() => world.living("hidden").length === 1, boundMs, keeper.clock));
      const guardian = world.jobs.launchd.mainOf(`holdfast.${owner}.guardian-1`);
      assert.ok(guardian !== undefined);
      world.machine.kernel.signal(guardian, "SIGKILL");
      keeper.crash();
      const { clock } = world.keeper();
      const isGone = () => world.living("hidden").length === 0 && world.jobs.launchd.labels.length === 0;
      assert.ok(await untilTrue(isGone, 60_000, clock));
      assert.equal(world.jobs.disks.get(owner)?.size, 0);
    }),
  );

  it(
    "loses what launchd itself starts for a run: that has a coalition of its own, and no marker",
    play(async (world) => {
      const { launchd } = world.jobs;
      const keeper = world.keeper();
      launchd.propertyLists.set("other", {
        label: "other",
        isKept: false,
        program: asleep,
        birth: { command: "other" },
      });
      world.machine.programs.set(
        "asks",
        () =>
          function* asks() {
            void launchd
              .launchctl(keeper)(["bootstrap", "gui/501", "other"])
              .then(() => launchd.launchctl(keeper)(["kickstart", "gui/501/other"]));
            yield* asleep();
          },
      );
      const container = keeper.open(owner, 1).epoch.create("r1-1");
      await container.spawn({ command: "asks", args: [], env: {} });
      assert.ok(await untilTrue(() => world.living("other").length === 1, boundMs, keeper.clock));
      assert.deepEqual(await container.end(boundMs), []);
      assert.equal(world.living("other").length, 1);
    }),
  );

  it(
    "loses what its keeper and guardian had begun when the machine's launchd forgets the jobs and the place is gone",
    play(async (world) => {
      await world.lost();
      world.jobs.disks.clear();
      world.jobs.launchd.refusals.set("print", { code: 5, stdout: "", stderr: "" });
      const { left } = await world.keeper().open(owner, 2).epoch.sweepEarlier(boundMs);
      assert.deepEqual(left, []);
      assert.equal(world.living("hidden").length, 1, "no marker, no record, no job: nothing tells whose it is");
    }),
  );
});
