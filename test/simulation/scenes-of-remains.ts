/** Named scenes of what is over: nothing of it waits in the keeper, the fronts or the node. */
import { ask, begin, must, type Status } from "./acts.ts";
import { Line } from "./event-stream.ts";
import { approve } from "./node-scenes.ts";
import { startOn, stay as stayOn, waitFor } from "./node-views.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf } from "./scripted.ts";
import { richConfig, Talk } from "./talk.ts";
import type { World } from "./world.ts";

const rounds = 2;
/** Longest life of what is bound to end by itself: half-closed connections, abandoned calls, heartbeats of streams. */
const settleMs = 6000;

async function useSessions(world: World): Promise<void> {
  for (const [path, prefix] of [
    ["/mcp/a", ""],
    ["/mcp", "b__"],
    ["/mcp/shared", ""],
  ] as const) {
    const talk = await Talk.begin(world, path);
    const stream = talk.listen();
    await talk.text(`${prefix}fine`);
    await talk.answered(talk.call(`${prefix}progress`, {}, { _meta: { progressToken: 1 } }));
    const asked = talk.call(`${prefix}ask`, { text: "what?" });
    await world.until("a question", () => asked.messages.length === 1, 5000);
    await talk.tell({ id: asked.messages[0]?.id, result: { action: "accept" } });
    await talk.answered(asked);
    const slow = talk.call(`${prefix}slow`, { text: "x", ms: 2000 });
    await world.clock.sleep(50);
    await talk.tell({ method: "notifications/cancelled", params: { requestId: slow.id } });
    await talk.ask("resources/subscribe", { uri: "mem://a/a" });
    await ask(world, "session.end", { id: talk.id });
    stream.close();
  }
}

async function useRuns(world: World): Promise<void> {
  const more = { timeoutMs: 600_000, maxLifetimeMs: 600_000, noOutputTimeoutMs: 600_000, limits: { processesMax: 9 } };
  const killed = await begin(world, scriptOf("a", { stay: true }), more);
  const waiting = ask(world, "run.wait", { id: killed.id, waitMs: 30_000 });
  const reading = ask(world, "run.poll", { id: killed.id, waitMs: 30_000 });
  await ask(world, "run.kill", { id: killed.id });
  await Promise.all([waiting, reading]);
  const ended = await begin(world, scriptOf("b", { out: "x" }, { ms: 100 }), {
    ...more,
    kind: "pty",
    background: false,
  });
  await ask(world, "run.wait", { id: ended.id, waitMs: 30_000 });
  await ask(world, "run.remove", { id: ended.id });
  await ask(world, "run.remove", { id: killed.id });
  const line = new Line(world);
  await world.until("a connection is open", () => line.isOpen, 5000);
  const { result } = await line.send("session.open", { leaseMs: 600_000 });
  const held = await begin(world, scriptOf("c", { stay: true }), {
    sessionId: result!["id"] as string,
    caller: result!["id"] as string,
  });
  await line.send("events.subscribe");
  await ask(world, "session.end", { id: result!["id"] as string });
  await ask(world, "run.remove", { id: held.id });
  line.end();
}

async function useNode(world: World): Promise<void> {
  const { id } = await startOn(world, stayOn("n"), { timeoutMs: 600_000 });
  const waiting = waitFor(world, id);
  await ask(world, "run.kill", { id });
  await waiting;
  await ask(world, "run.clear", { id });
}

/** Timers of each process of ours, by its name. */
function timersOf(world: World): Map<string, number> {
  return new Map(
    world.hosts.flatMap(({ name, life, front }) => [
      [`the keeper of ${name}`, world.simulation.timersOf(life!.platform.own)] as const,
      [`the front of ${name}`, world.simulation.timersOf(front!.own)] as const,
    ]),
  );
}

export const remainScenes: Record<string, PromiseScene> = {
  "what is over leaves nothing that waits": {
    config: richConfig,
    node: true,
    play: async (world) => {
      await approve(world);
      const use = async (times: number) => {
        for (let round = 0; round < times; round += 1) {
          await useSessions(world);
          await useRuns(world);
          await useNode(world);
        }
        await world.clock.sleep(settleMs);
        return timersOf(world);
      };
      const before = await use(1);
      const after = await use(rounds);
      for (const [who, count] of after) {
        const most = before.get(who) ?? 0;
        must(count <= most, `${who} has ${count} timers, ${before.get(who) ?? 0} before ${rounds} rounds`);
      }
      const { sessions, runs } = await ask<Status>(world, "gateway.status");
      must(sessions === 0 && runs === 0, `${sessions} sessions and ${runs} runs are counted`);
      must(world.network.open.length <= 2, `${world.network.open.length} connections are open`);
    },
  },
};
