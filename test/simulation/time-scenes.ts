/** Scenes of clocks that jump and of machines and processes that stand still: nothing ends for it. */
import type { Host } from "./host.ts";
import { runOnNode } from "./node-scenes.ts";
import { BrokenPromise, type World } from "./world.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Longer than any lease, watchdog or heartbeat by default. */
const afterwardsMs = 5 * minuteMs;

/** The processes that must still be there: keepers, fronts, guardians and the commands of runs. */
function alive(hosts: readonly Host[]): string[] {
  return hosts.flatMap(({ name, machine }) =>
    machine.kernel.processes.filter(({ isAlive }) => isAlive).map(({ pid, command }) => `${name} ${pid} ${command}`),
  );
}

async function nothingEnds(world: World, change: () => Promise<void>): Promise<void> {
  const before = alive(world.hosts);
  await change();
  await world.clock.sleep(afterwardsMs);
  const after = new Set(alive(world.hosts));
  const gone = before.filter((each) => !after.has(each));
  if (gone.length > 0) throw new BrokenPromise(`ended for nothing: ${gone.join(", ")}`);
}

/** A session with its server, a run, and a run on the node if there is one. */
async function fill(world: World): Promise<void> {
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "client", version: "1" } };
  await world.client().send("POST", "/mcp/echo", { jsonrpc: "2.0", id: 1, method: "initialize", params }).answer;
  await world.client().rpc("run.start", { argv: ["/bin/sh", "-c", "daemon a"], cwd: "/" });
  if (world.node !== undefined) await runOnNode(world, "daemon b");
}

async function suspended(world: World, hosts: readonly Host[], ms: number): Promise<void> {
  for (const { machine } of hosts) machine.suspend();
  await world.clock.sleep(ms);
  for (const { machine } of hosts) machine.resume();
}

async function stopped(world: World, command: string, ms: number): Promise<void> {
  const { kernel } = world.site.machine;
  const own = kernel.processes.find((process) => process.command === command && process.isAlive);
  if (own === undefined) throw new BrokenPromise(`no ${command}`);
  kernel.signal(own, "SIGSTOP");
  await world.clock.sleep(ms);
  kernel.signal(own, "SIGCONT");
}

/** The wall clocks of all machines are set, each by itself. */
async function set(world: World, offsetsMs: readonly number[]): Promise<void> {
  for (const offsetMs of offsetsMs) {
    for (const { machine } of world.hosts) {
      machine.time.wallOffsetMs = offsetMs;
      await world.clock.sleep(2 * minuteMs);
    }
  }
}

const offsetsMs = [3 * minuteMs, -3 * minuteMs, 2 * hourMs, -2 * hourMs, 48 * hourMs, 0];

export const timeScenes: Record<string, (world: World) => Promise<void>> = {
  "everything is suspended for hours": async (world) => {
    await fill(world);
    await nothingEnds(world, () => suspended(world, world.hosts, 7 * hourMs));
  },
  "the gateway's machine is suspended again and again": async (world) => {
    await fill(world);
    await nothingEnds(world, async () => {
      for (const ms of [100, 1000, 20_000, 3 * minuteMs]) {
        await suspended(world, world.hosts, ms);
        await world.clock.sleep(700);
      }
    });
  },
  "wall clocks jump": async (world) => {
    await fill(world);
    await nothingEnds(world, () => set(world, offsetsMs));
  },
  "a keeper stands still for ten minutes": async (world) => {
    await fill(world);
    await nothingEnds(world, () => stopped(world, "keeper", 10 * minuteMs));
  },
  "a guardian stands still for twenty minutes": async (world) => {
    await fill(world);
    await nothingEnds(world, () => stopped(world, "guardian", 20 * minuteMs));
  },
};

/** Plays a scene in a world of its own, with a node or without. */
export async function playTimeScene(
  world: World,
  scene: (world: World) => Promise<void>,
  approve: (world: World) => Promise<void>,
): Promise<void> {
  world.begin();
  await world.play(
    (async () => {
      await world.until("a gateway serves", () => world.isServing, minuteMs);
      await approve(world);
      await scene(world);
      await world.end();
    })(),
    60 * hourMs,
  );
}
