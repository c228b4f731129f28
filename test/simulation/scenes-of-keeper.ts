/** Named scenes of the guardian and of the gateway's own ends, each with what it is promised. */
import {
  ask,
  begin,
  endOf,
  killOne,
  lifeOf,
  must,
  refusalOf,
  restart,
  settleBoundMs,
  tookMs,
  type Status,
} from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import type { World } from "./world.ts";

/** No front lives whose keeper has gone. */
function frontsLeft(world: World): number {
  return world.site.machine.kernel.processes.filter((one) => one.command === "front" && one.isAlive).length;
}

export const keeperScenes: Record<string, PromiseScene> = {
  "a stop wins over restarts": {
    play: async (world) => {
      await begin(world, "daemon a");
      const life = lifeOf(world);
      void restart(world);
      await world.clock.sleep(5);
      void life.keeper.close("shutdown", undefined, { again: true });
      await world.clock.sleep(1);
      void life.keeper.close("shutdown");
      const end = await endOf(world, life, 30_000);
      must(!end.again, "a restart of everything wins over a stop");
      must(end.error === undefined && end.survivors.length === 0, "an orderly stop names an error or survivors");
    },
  },
  "a restart of everything does not win over an earlier stop": {
    play: async (world) => {
      const life = lifeOf(world);
      void life.keeper.close("shutdown");
      void life.keeper.close("shutdown", undefined, { again: true });
      must(!(await endOf(world, life, 30_000)).again, "a restart of everything wins over a stop");
      await world.until("it serves again", () => world.isServing && lifeOf(world) !== life, settleBoundMs);
      const next = lifeOf(world);
      void next.keeper.close("shutdown", undefined, { again: true });
      must((await endOf(world, next, 30_000)).again, "a restart of everything is forgotten");
    },
  },
  "a stop while a run ends waits for it": {
    play: async (world) => {
      const run = await begin(world, "deaf a");
      const life = lifeOf(world);
      void ask(world, "run.kill", { id: run.id }).catch(() => {});
      await world.clock.sleep(500);
      const ms = await tookMs(world, (void life.keeper.close("shutdown"), endOf(world, life, 30_000)));
      must(ms > 4000 && ms < 7000, `a stop with 4.5 s of graces left took ${ms} ms`);
    },
  },
  "a stop keeps the graces, and a second one hurries": {
    play: async (world) => {
      await begin(world, "deaf a");
      const life = lifeOf(world);
      const ms = await tookMs(world, (void life.keeper.close("shutdown"), endOf(world, life, 30_000)));
      must(ms > 4500 && ms < 9000, `a stop with graces of 5 s took ${ms} ms`);
      must(frontsLeft(world) === 0, "a front without a keeper");
      await world.until("it serves again", () => world.isServing && lifeOf(world) !== life, settleBoundMs);
      await begin(world, "deaf b");
      const next = lifeOf(world);
      void next.keeper.close("shutdown");
      await world.clock.sleep(100);
      next.keeper.hurry();
      const hurriedMs = await tookMs(world, endOf(world, next, 30_000));
      must(hurriedMs < 2000, `a stop in a hurry took ${hurriedMs} ms`);
    },
  },
  "a guardian that cannot be started is tried again, and nothing starts without one": {
    play: async (world) => {
      const { machine } = world.site;
      machine.isShortOfHelpers = true;
      killOne(world, "guardian");
      await world.clock.sleep(500);
      const code = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon a"], cwd: "/" });
      must(code === "guardian_down", `a start without a guardian: ${code ?? "accepted"}`);
      must((await ask<Status>(world, "gateway.status")).guardian.state !== "serving", "a dead guardian serves");
      machine.isShortOfHelpers = false;
      await world.clock.sleep(3000);
      const { guardian } = await ask<Status>(world, "gateway.status");
      must(guardian.state === "serving" && guardian.restarts > 0, "no guardian after a shortage");
      await begin(world, "daemon b");
      world.pauseMs = 10_000;
      killOne(world, "keeper");
      await world.until("the guardian has ended everything", () => world.servants.length === 0, 5000);
      await world.until("the front has ended too", () => frontsLeft(world) === 0, 5000);
    },
  },
  "a dead guardian is replaced at once and watches": {
    play: async (world) => {
      await begin(world, "daemon a");
      killOne(world, "guardian");
      await world.clock.sleep(300);
      const status = await ask<Status>(world, "gateway.status");
      must(status.guardian.state === "serving", "the guardian is not replaced");
      must(
        status.crashes.some(({ who }) => who === "guardian"),
        "the guardian's death is not on record",
      );
      world.pauseMs = 10_000;
      const { front } = world.site;
      if (front !== undefined) world.site.machine.kernel.signal(front.own, "SIGSTOP");
      killOne(world, "keeper");
      await world.until("the guardian has ended everything", () => world.servants.length === 0, 5000);
      await world.until("even a stopped front", () => frontsLeft(world) === 0, 5000);
    },
  },
  "a stop of a front that stands still ends within its bound": {
    play: async (world) => {
      await begin(world, "daemon a");
      const life = lifeOf(world);
      world.site.machine.kernel.signal(world.site.front!.own, "SIGSTOP");
      void life.keeper.close("shutdown");
      await endOf(world, life, 20_000);
      must(frontsLeft(world) === 0, "a front without a keeper");
    },
  },
  "a stop with a full disk is an orderly one": {
    play: async (world) => {
      const run = await begin(world, "daemon a");
      const life = lifeOf(world);
      world.site.disk.isFull = true;
      void life.keeper.close("shutdown");
      const end = await endOf(world, life, 30_000);
      must(end.error === undefined, `a full disk makes a stop fail: ${String(end.error)}`);
      world.site.disk.isFull = false;
      await world.until("the next one serves", () => world.isServing && lifeOf(world) !== life, settleBoundMs);
      must(
        (await ask<{ id: string }[]>(world, "run.list")).every(({ id }) => id !== run.id),
        "an ended run is listed",
      );
    },
  },
  "a keeper that was killed is on record at the next start": {
    play: async (world) => {
      await begin(world, "daemon a");
      const life = lifeOf(world);
      killOne(world, "keeper");
      await world.until("the next one serves", () => world.isServing && lifeOf(world) !== life, settleBoundMs);
      const { crashes, reconciled } = await ask<Status>(world, "gateway.status");
      must(crashes.filter(({ who }) => who === "keeper").length === 1, `on record: ${JSON.stringify(crashes)}`);
      must(reconciled.length > 0, "what the start found is not told");
      const next = lifeOf(world);
      void next.keeper.close("shutdown");
      await endOf(world, next, 30_000);
      await world.until("the third one serves", () => world.isServing && lifeOf(world) !== next, settleBoundMs);
      const later = await ask<Status>(world, "gateway.status");
      must(
        later.crashes.length === 1,
        `a clean stop or an old crash is recorded again: ${JSON.stringify(later.crashes)}`,
      );
    },
  },
};
