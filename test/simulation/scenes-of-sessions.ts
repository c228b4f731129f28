/** Named scenes of sessions and what they own, each with what it is promised. */
import {
  ask,
  begin,
  call,
  close,
  killFront,
  livesOf,
  must,
  mustAnswer,
  open,
  recordOf,
  tookMs,
  type Status,
} from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import type { World } from "./world.ts";

async function sessionsOf(world: World) {
  return ask<{ id: string; runs: string[]; present: boolean }[]>(world, "session.list");
}

export const sessionScenes: Record<string, PromiseScene> = {
  "a run of an ended session keeps its graces and ends with it": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const run = await begin(world, "deaf a", { sessionId: session });
      must((await sessionsOf(world))[0]?.runs.includes(run.id) === true, "the session does not show its run");
      const ms = await tookMs(
        world,
        (void close(world, "/mcp/echo", session),
        world.until("the run has ended with its session", () => livesOf(world, run.id) === 0, 20_000)),
      );
      must(ms > 4900 && ms < 6500, `an end with graces of 5 s took ${ms} ms`);
      must((await recordOf(world, run.id)).endReason === "session-ended", "the record does not say why");
      must((await sessionsOf(world)).length === 0, "an ended session is listed");
    },
  },
  "a run whose session the next front does not know keeps its graces too": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const run = await begin(world, "deaf a", { sessionId: session });
      const { kernel } = world.site.machine;
      // The front dies between the end of the session in its store and the end of what the session owns.
      world.onWrite = (_, own) => {
        if (own.command !== "front" || storedSessions(world) > 0) return;
        world.onWrite = () => {};
        kernel.end(own, { code: null, signal: "SIGKILL" });
      };
      const { nowMs } = world.simulation;
      void close(world, "/mcp/echo", session).catch(() => {});
      await world.until("the run has ended", () => livesOf(world, run.id) === 0, 30_000);
      const ms = world.simulation.nowMs - nowMs;
      must(ms > 4900, `an end with graces of 5 s took ${ms} ms`);
      must((await recordOf(world, run.id)).endReason === "session-ended", "the record does not say why");
    },
  },
  "a server that is ending is not handed to the next front as usable": {
    play: async (world) => {
      const session = await open(world, "/mcp/deaf");
      const { machine } = world.site;
      const old = world.site.front!.own;
      // It dies between what the keeper tells the next front and that front's first message.
      machine.onSend = (own) => {
        const server = machine.kernel.processes.find((each) => each.command === "deaf-mcp" && each.isAlive);
        if (own.command !== "front" || own === old || server === undefined) return;
        machine.onSend = () => {};
        machine.kernel.end(server, { code: 1, signal: null });
      };
      await killFront(world);
      const answer: { status?: number } = {};
      const ms = await tookMs(
        world,
        call(world, "/mcp/deaf", session).then((got) => Object.assign(answer, got)),
      );
      must(ms < 1000, `a call waits ${ms} ms for a server that is ending: ${JSON.stringify(answer)}`);
      const again = await open(world, "/mcp/deaf");
      await mustAnswer(world, "/mcp/deaf", again);
    },
  },
  "a session lives as long as its lease after its last request, also with a new front": {
    config: { session: { idleLeaseMs: 10_000 } },
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      for (let call_ = 0; call_ < 3; call_ += 1) {
        await world.clock.sleep(7000);
        await mustAnswer(world, "/mcp/echo", session);
      }
      await killFront(world);
      await world.clock.sleep(7000);
      must((await sessionsOf(world)).length === 1, "a session has ended within its lease");
      await mustAnswer(world, "/mcp/echo", session);
      world.site.machine.time.wallOffsetMs += 3_600_000;
      await world.clock.sleep(9000);
      must((await sessionsOf(world)).length === 1, "a session has ended within its lease");
      await world.clock.sleep(9000);
      must((await sessionsOf(world)).length === 0, "a session has outlived its lease");
      must(world.servants.length === 0, "its server has outlived it");
      const { status } = await call(world, "/mcp/echo", session);
      must(status === 404, `a call of an ended session: ${status}`);
    },
  },
  "sessions are bounded, listed and ended by name": {
    config: { session: { sessionsMax: 2 } },
    play: async (world) => {
      const [one, two] = [await open(world, "/mcp/echo"), await open(world, "/mcp/pooled")];
      must((await open(world, "/mcp/echo")) === "", "a session above the limit is opened");
      const ids = (await sessionsOf(world)).map(({ id }) => id);
      must(ids.length === 2 && ids.includes(one) && ids.includes(two), `listed: ${ids.join(", ")}`);
      await ask(world, "session.end", { id: one });
      must((await sessionsOf(world)).length === 1, "an ended session is listed");
      must((await call(world, "/mcp/echo", one)).status === 404, "a call of an ended session is answered");
      await killFront(world);
      must((await call(world, "/mcp/echo", one)).status === 404, "an ended session is back");
      await mustAnswer(world, "/mcp/pooled", two);
      const third = await open(world, "/mcp/echo");
      await mustAnswer(world, "/mcp/echo", third);
      must((await ask<Status>(world, "gateway.status")).sessions === 2, "the status counts other sessions");
    },
  },
  "a reload ends the sessions of a changed server only": {
    play: async (world) => {
      const [changed, kept] = [await open(world, "/mcp/echo"), await open(world, "/mcp/pooled")];
      const { site } = world;
      const { echo: _, ...rest } = (site.config as { mcpServers: Record<string, object> }).mcpServers;
      site.config = { ...site.config, mcpServers: { echo: { command: "mcp", args: ["2"] }, ...rest } };
      site.life?.keeper.reload();
      await world.clock.sleep(10_000);
      must((await call(world, "/mcp/echo", changed)).status === 404, "a session of a changed server lives on");
      await mustAnswer(world, "/mcp/pooled", kept);
      const next = await open(world, "/mcp/echo");
      await mustAnswer(world, "/mcp/echo", next);
      const commands = (await ask<{ command: string; server: string }[]>(world, "run.list")).map(
        ({ command }) => command,
      );
      must(commands.includes("mcp 2"), `the new command does not run: ${commands.join(", ")}`);
    },
  },
};

function storedSessions(world: World): number {
  return world.site.disk.rows("sessions.sqlite", "select id from sessions").length;
}
