/** Named scenes of the front: its deaths, restarts and the calls in flight. */
import {
  ask,
  begin,
  call,
  endOf,
  killFront,
  killOne,
  lifeOf,
  livesOf,
  must,
  mustAnswer,
  open,
  restart,
  settleBoundMs,
  type Status,
} from "./acts.ts";
import type { PromiseScene } from "./promises.ts";

export const frontScenes: Record<string, PromiseScene> = {
  "restarts that overlap replace the front once": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const run = await begin(world, "daemon a");
      const life = lifeOf(world);
      const old = world.site.front?.own;
      const request = (id: number) => ({ jsonrpc: "2.0", id, method: "gateway.restart", params: {} });
      await world.client().send("POST", "/rpc", [request(1), request(2)]).answer;
      await world.until("the front is gone", () => old?.isAlive === false, settleBoundMs);
      await world.until("the next one serves", () => world.isServing, settleBoundMs);
      await world.clock.sleep(20_000);
      must(world.site.fronts.length === 2, `${world.site.fronts.length} fronts for restarts that overlap`);
      must(world.site.life === life && life.platform.own.isAlive, "the keeper did not live on");
      must(livesOf(world, run.id) > 0, "the run did not live on");
      await mustAnswer(world, "/mcp/echo", session);
      must((await ask<Status>(world, "gateway.status")).crashes.length === 0, "a restart is on record as a crash");
    },
  },
  "a front that cannot be started is tried again": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const life = lifeOf(world);
      const own = world.site.front?.own;
      world.site.machine.isShortOfHelpers = true;
      killOne(world, "front");
      await world.until("the front is gone", () => own?.isAlive === false, settleBoundMs);
      await world.clock.sleep(4000);
      world.site.machine.isShortOfHelpers = false;
      await world.until("a front serves", () => world.isServing, 5000);
      must(world.site.life === life && life.platform.own.isAlive, "the keeper did not live on");
      await mustAnswer(world, "/mcp/echo", session);
      const { crashes, front } = await ask<Status>(world, "gateway.status");
      must(front.restarts > 0 && crashes.length > 0, "the front's death is not on record");
      must((crashes[0]?.downMs ?? 0) > 3500, `an outage of ${String(crashes[0]?.downMs)} ms is on record`);
    },
  },
  "a front that dies again and again ends the gateway, whatever the wall clock says": {
    config: { limits: { frontRestartsMax: 3, frontRestartWindowMs: 60_000 } },
    play: async (world) => {
      const life = lifeOf(world);
      for (let death = 0; death < 3; death += 1) {
        await killFront(world);
        await world.clock.sleep(300);
      }
      must(life.platform.own.isAlive, "three deaths are not too many");
      // The old deaths have left the window by the time that has passed, also where the wall clock was set back.
      world.site.machine.time.wallOffsetMs -= 3_600_000;
      await world.clock.sleep(61_000);
      await killFront(world);
      must(life.platform.own.isAlive, "deaths of long ago count");
      for (let death = 0; death < 3 && life.platform.own.isAlive; death += 1) {
        killOne(world, "front");
        await world.clock.sleep(400);
      }
      const end = await endOf(world, life, 30_000);
      must(end.error !== undefined, "the end has no reason");
    },
  },
  "a gateway without a front keeps its runs for a while, then ends": {
    config: { limits: { keepMs: 8000 } },
    play: async (world) => {
      const run = await begin(world, "daemon a");
      const short = await begin(world, "daemon b", { keepMs: 2000 });
      const tied = await begin(world, "daemon c", { onFrontLoss: "kill" });
      const life = lifeOf(world);
      world.site.machine.isShortOfHelpers = true;
      killOne(world, "front");
      await world.clock.sleep(1000);
      must(livesOf(world, run.id) > 0 && livesOf(world, short.id) > 0, "a run does not wait for the next front");
      await world.clock.sleep(5500);
      must(livesOf(world, short.id) === 0, "a run outlives its own time without a front");
      must(livesOf(world, tied.id) === 0, "a run that ends with the front lives on");
      must(livesOf(world, run.id) > 0, "a run does not wait for the next front");
      const end = await endOf(world, life, 20_000);
      must(end.error !== undefined, "the end has no reason");
      world.site.machine.isShortOfHelpers = false;
    },
  },
  "a front that comes back in time keeps runs with a short time": {
    play: async (world) => {
      const run = await begin(world, "daemon b", { keepMs: 3000 });
      await killFront(world);
      await world.clock.sleep(10_000);
      must(livesOf(world, run.id) > 0, "a run has ended although a front came back");
    },
  },
  "a front that comes back in time takes back that the gateway was to end": {
    config: { limits: { keepMs: 8000 } },
    play: async (world) => {
      const run = await begin(world, "daemon a");
      const life = lifeOf(world);
      for (let round = 0; round < 2; round += 1) {
        await killFront(world);
        await world.clock.sleep(20_000);
        must(life.platform.own.isAlive && livesOf(world, run.id) > 0, "a gateway ends although its front came back");
      }
    },
  },
  "a front that stands still is replaced, and one that pauses is not": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const { kernel } = world.site.machine;
      const own = world.site.front!.own;
      kernel.signal(own, "SIGSTOP");
      await world.clock.sleep(3000);
      kernel.signal(own, "SIGCONT");
      await world.clock.sleep(5000);
      must(own.isAlive, "a front that paused for 3 s was replaced");
      kernel.signal(own, "SIGSTOP");
      await world.until("the front is replaced", () => !own.isAlive, 12_000);
      await world.until("another one serves", () => world.isServing, settleBoundMs);
      await mustAnswer(world, "/mcp/echo", session);
      const { crashes } = await ask<Status>(world, "gateway.status");
      must(crashes[0]?.who === "front" && crashes[0].why === "stuck", "the record does not say that it was stuck");
    },
  },
  "a stop answers the calls in flight": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const life = lifeOf(world);
      const answer = call(world, "/mcp/echo", session, "mute");
      await world.clock.sleep(100);
      void life.keeper.close("shutdown");
      const { status, body } = await answer;
      must(status !== 200 || body.includes('"error"'), `a call that cannot be answered: ${status} ${body}`);
      await endOf(world, life, 20_000);
    },
  },
  "a restart of the front answers the calls in flight": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const answer = call(world, "/mcp/echo", session, "mute");
      await world.clock.sleep(100);
      await restart(world);
      const { status, body } = await answer;
      must(status !== 200 || body.includes('"error"'), `a call that cannot be answered: ${status} ${body}`);
      await world.clock.sleep(3000);
      await mustAnswer(world, "/mcp/echo", session);
    },
  },
};
