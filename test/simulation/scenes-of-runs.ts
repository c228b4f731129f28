/** Named scenes of runs, each with what it is promised. */
import {
  ask,
  begin,
  killFront,
  killOne,
  livesOf,
  must,
  recordOf,
  refusalOf,
  settleBoundMs,
  startRun,
  tookMs,
  type RunView,
} from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import type { World } from "./world.ts";

const scope = { scopeKey: "build", replaceExistingScope: true };

function sleepersOf(world: World, mark: string): number {
  return world.servants.filter(({ command }) => command.endsWith(mark)).length;
}

export const runScenes: Record<string, PromiseScene> = {
  "an end asked again keeps the graces": {
    play: async (world) => {
      const run = await begin(world, "deaf a");
      const { nowMs } = world.simulation;
      const asked = [ask(world, "run.kill", { id: run.id })];
      for (let again = 0; again < 4; again += 1) {
        await world.clock.sleep(700);
        asked.push(ask(world, "run.kill", { id: run.id }));
      }
      await Promise.all(asked);
      const ms = world.simulation.nowMs - nowMs;
      must(ms > 4900 && ms < 6500, `an end with graces of 5 s, asked again, took ${ms} ms`);
      must((await recordOf(world, run.id)).endReason === "cancelled", "the reason is not the first one");
      const other = await begin(world, "deaf b");
      void ask(world, "run.kill", { id: other.id });
      await world.clock.sleep(500);
      const hurriedMs = await tookMs(world, ask(world, "run.kill", { id: other.id, now: true }));
      must(hurriedMs < 1000, `an end in a hurry took ${hurriedMs} ms`);
    },
  },
  "what cannot be ended stays on record, is tried again, and blocks nothing for ever": {
    play: async (world) => {
      const run = await begin(world, "stuck a", scope);
      world.isStuck = true;
      await world.clock.sleep(50);
      const first = await tookMs(world, refusalOf(world, "run.kill", { id: run.id }));
      must(first < 20_000, `the end of a stuck process is told after ${first} ms`);
      must((await recordOf(world, run.id)).state === "stopping", "a run with a survivor is not stopping");
      must((await recordOf(world, run.id)).survivors.length > 0, "the survivors are not named");
      const code = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon b"], cwd: "/", ...scope });
      must(code !== undefined, "two runs under one scope key");
      must((await refusalOf(world, "run.remove", { id: run.id })) === "survivors", "a run with survivors is removed");
      world.isStuck = false;
      await world.until("it is tried again", () => livesOf(world, run.id) === 0, 60_000);
      await world.clock.sleep(1500);
      must((await recordOf(world, run.id)).state === "exited", "its record stays open");
      const next = await begin(world, "daemon c", scope);
      must(livesOf(world, next.id) > 0, "the scope key is blocked");
      await ask(world, "run.remove", { id: run.id });
      must((await refusalOf(world, "run.wait", { id: run.id })) === "run_unknown", "a removed run is known");
    },
  },
  "a stop with what cannot be ended names it, and the next start holds it": {
    play: async (world) => {
      const run = await begin(world, "stuck a", scope);
      world.isStuck = true;
      await world.clock.sleep(50);
      const { life } = world.site;
      void life?.keeper.close("shutdown");
      await world.until("it has stopped", () => life?.platform.own.isAlive === false, 40_000);
      const end = await life!.over;
      must(end.survivors.length === 1, `${end.survivors.length} survivors are named`);
      await world.until("the next one serves", () => world.isServing && world.site.life !== life, settleBoundMs);
      const views = await ask<RunView[]>(world, "run.list");
      must(
        views.some(({ id, state }) => id === run.id && state === "stopping"),
        "the next gateway does not show what was left",
      );
      const code = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon b"], cwd: "/", ...scope });
      must(code !== undefined, "two runs under one scope key");
      world.isStuck = false;
      await world.until("the next gateway ends it", () => livesOf(world, run.id) === 0, 60_000);
      await world.clock.sleep(40_000);
      must((await recordOf(world, run.id)).state === "exited", "its record stays open");
      await begin(world, "daemon c", scope);
    },
  },
  "a new keeper closes no record of what still lives": {
    play: async (world) => {
      const run = await begin(world, "stuck a");
      world.isStuck = true;
      await world.clock.sleep(50);
      const { life } = world.site;
      killOne(world, "keeper");
      await world.until("the next one serves", () => world.isServing && world.site.life !== life, settleBoundMs);
      must(
        (await ask<RunView[]>(world, "run.list")).some(({ id }) => id === run.id),
        "what still lives is not shown",
      );
      await refusalOf(world, "run.kill", { id: run.id });
      world.isStuck = false;
      await world.until("its end is tried again", () => livesOf(world, run.id) === 0, 60_000);
      await world.clock.sleep(40_000);
      const { state, endReason } = await recordOf(world, run.id);
      must(state === "exited" && endReason === "orphan-swept", `its record is ${state}, ${String(endReason)}`);
    },
  },
  "starts under one scope key that overlap leave one run": {
    play: async (world) => {
      await begin(world, "deaf old", scope);
      const runs = await Promise.all(["a", "b", "c"].map((mark) => startRun(world, `deaf ${mark}`, scope)));
      must(
        runs.some(({ error }) => error === undefined),
        `every start is refused: ${JSON.stringify(runs)}`,
      );
      await world.clock.sleep(1000);
      const live = (await ask<RunView[]>(world, "run.list")).filter(({ state }) => state === "running");
      must(live.length === 1, `${live.length} runs under one scope key`);
      must(sleepersOf(world, "old") === 0, "the replaced run lives");
    },
  },
  "starts under one scope key of two fronts leave one run": {
    play: async (world) => {
      await begin(world, "deaf old", scope);
      void startRun(world, "deaf a", scope).catch(() => {});
      await world.clock.sleep(500);
      await killFront(world);
      void startRun(world, "deaf b", scope).catch(() => {});
      await world.clock.sleep(30_000);
      const live = (await ask<RunView[]>(world, "run.list")).filter(({ state }) => state === "running");
      must(live.length === 1, `${live.length} runs under one scope key`);
    },
  },
  "a run's times end it, each for its own reason": {
    play: async (world) => {
      const timed = await begin(world, "daemon a", { timeoutMs: 2000 });
      const mortal = await begin(world, "daemon b", { maxLifetimeMs: 4000 });
      const quiet = await begin(world, "daemon c", { noOutputTimeoutMs: 3000 });
      await world.clock.sleep(900);
      world.site.machine.time.wallOffsetMs -= 3_600_000;
      await world.clock.sleep(900);
      for (const { id } of [timed, mortal, quiet]) must(livesOf(world, id) > 0, "a run has ended before its time");
      await world.clock.sleep(9000);
      const reasons = await Promise.all([timed, mortal, quiet].map(async ({ id }) => recordOf(world, id)));
      const told = reasons.map(({ endReason }) => endReason).join(" ");
      must(told === "timeout lease-expired no-output", `the records say ${told}`);
    },
  },
  "a command's record and output are whole": {
    play: async (world) => {
      const run = await begin(world, "1500 a");
      await killFront(world);
      const done = await ask<RunView>(world, "run.wait", { id: run.id, waitMs: 30_000 });
      must(done.state === "exited" && done.endReason === "exited" && done.exitCode === 0, JSON.stringify(done));
      const log = await ask<{ bytes: string; printed: number }>(world, "run.log", { id: run.id });
      must(Buffer.from(log.bytes, "base64").toString() === "begun\ndone\n", `its output is ${JSON.stringify(log)}`);
      const all = await ask<RunView[]>(world, "run.list", { all: true });
      must(all.filter(({ id }) => id === run.id).length === 1, "history does not show it once");
      must((await ask<RunView[]>(world, "run.list")).length === 0, "an ended run is listed as live");
      await ask(world, "run.clear", { id: run.id });
      must((await refusalOf(world, "run.wait", { id: run.id })) === "run_unknown", "a cleared run is known");
      const live = await begin(world, "daemon b");
      must((await refusalOf(world, "run.clear", { id: live.id })) === "run_alive", "a live run is cleared");
      await ask(world, "run.signal", { id: live.id, signal: "SIGTERM" });
      const killed = await ask<RunView>(world, "run.wait", { id: live.id, waitMs: 30_000 });
      must(killed.endReason === "signaled", JSON.stringify(killed));
    },
  },
  "a run that the system refuses is on record as refused": {
    config: { limits: { runsMax: 2 } },
    play: async (world) => {
      world.site.machine.isShort = true;
      const code = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon a"], cwd: "/" });
      must(code === "spawn_failed", `a start in a shortage of processes: ${code ?? "accepted"}`);
      world.site.machine.isShort = false;
      const all = await ask<RunView[]>(world, "run.list", { all: true });
      must(all.length === 1 && all[0]?.endReason === "spawn-failed", JSON.stringify(all));
      await begin(world, "daemon b");
      const second = await begin(world, "daemon c");
      const refused = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon d"], cwd: "/" });
      must(refused === "run_limit", `a start above the limit: ${refused ?? "accepted"}`);
      await ask(world, "run.kill", { id: second.id });
      await begin(world, "daemon e");
      world.site.disk.isFull = true;
      const unwritten = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon f"], cwd: "/" });
      must(unwritten === "run_limit" || unwritten === "state_unusable", `a start on a full disk: ${unwritten ?? ""}`);
      world.site.disk.isFull = false;
    },
  },
  "a full disk delays the record of an end, not the end": {
    play: async (world) => {
      const run = await begin(world, "daemon a");
      world.site.disk.isFull = true;
      const code = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "daemon f"], cwd: "/" });
      must(code === "state_unusable", `a start on a full disk: ${code ?? "accepted"}`);
      must(sleepersOf(world, " f") === 0, "a run without a record was started");
      await ask(world, "run.kill", { id: run.id });
      must((await recordOf(world, run.id)).state === "exited", "the end is not told while the disk is full");
      world.site.disk.isFull = false;
      await world.clock.sleep(2500);
      const rows = world.site.disk.rows("ledger.sqlite", "select state from runs where id = ?", run.id);
      must(rows[0]?.["state"] === "exited", "the end is not written once there is room");
    },
  },
};
