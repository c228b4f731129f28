/**
 * Every point at which a scene can be interrupted: around each write to a database, at each message between keeper and front,
 * at each call of the system. A scene is played once to count them, then once for each of them, with a crash there.
 */
import type { Process } from "../../src/platform/simulated/process.ts";
import { call, close, killFront, open, settleBoundMs, startRun, type Scene } from "./acts.ts";
import { abandonedMs, approve, disagreement, nodeScenes } from "./node-scenes.ts";
import type { Host } from "./host.ts";
import { BrokenPromise, endBoundMs, World } from "./world.ts";

const sceneBoundMs = 900_000;

export const gatewayScenes: Record<string, Scene> = {
  "a gateway starts": async () => {},
  "a session calls its server and ends": async (world) => {
    const session = await open(world, "/mcp/echo");
    await call(world, "/mcp/echo", session);
    await close(world, "/mcp/echo", session);
  },
  "a session ends whose server is deaf": async (world) => {
    const session = await open(world, "/mcp/deaf");
    await close(world, "/mcp/deaf", session);
  },
  "a session over all servers calls one": async (world) => {
    const session = await open(world, "/mcp");
    await call(world, "/mcp", session, "pooled__echo");
    await close(world, "/mcp", session);
  },
  "a new front adopts session and run": async (world) => {
    const session = await open(world, "/mcp/echo");
    const run = await startRun(world, "daemon a");
    await killFront(world);
    await call(world, "/mcp/echo", session);
    await world.client().rpc("run.kill", { id: (run["result"] as { id: string } | undefined)?.id ?? "" });
  },
  "a command runs to its end": async (world) => {
    const run = await startRun(world, "500 a");
    await world.client().rpc("run.wait", { id: (run["result"] as { id: string } | undefined)?.id ?? "" });
  },
  "a run replaces the one of its scope": async (world) => {
    const scope = { scopeKey: "build", replaceExistingScope: true };
    await startRun(world, "daemon a", scope);
    await startRun(world, "daemon b", scope);
  },
  "a reload changes a server": async (world) => {
    await open(world, "/mcp/echo");
    const { site } = world;
    site.config = { ...site.config, mcpServers: { echo: { command: "mcp", args: ["2"] } } };
    site.life?.keeper.reload();
    await world.clock.sleep(10_000);
  },
  "an operator restarts everything": async (world) => {
    await open(world, "/mcp/echo");
    await startRun(world, "daemon a");
    const { life } = world.site;
    void life?.keeper.close("shutdown", undefined, { again: true });
    await world.until("it is gone", () => life?.platform.own.isAlive !== true, settleBoundMs);
  },
};

export const scenes: Record<string, Scene> = { ...gatewayScenes, ...nodeScenes };

export interface Point {
  /** Keeper or front, of gateway or node. */
  readonly who: string;
  readonly what: "before a write" | "after a write" | "at a message" | "at a call";
}

/** Plays a scene. `crashAt`: the number of the point at which its process is killed; resolves with the points met. */
export async function playScene(scene: Scene, proof: "kernel" | "scan", crashAt?: number): Promise<Point[]> {
  const isOnNode = Object.values(nodeScenes).includes(scene);
  const world = new World({ seed: 1, proof, node: isOnNode });
  const points: Point[] = [];
  const hit = ({ name, machine }: Host, own: Process, what: Point["what"]) => {
    const { command } = own;
    if (!own.isAlive || (command !== "keeper" && command !== "front")) return;
    const who = `${name}'s ${command}`;
    points.push({ who, what });
    if (points.length !== crashAt) return;
    world.note(`crash of the ${who} ${what}`);
    machine.kernel.end(own, { code: null, signal: "SIGKILL" });
  };
  world.onWrite = (moment, own, host) => hit(host, own, moment === "before" ? "before a write" : "after a write");
  for (const host of world.hosts) {
    host.machine.onSend = (own) => hit(host, own, "at a message");
    host.machine.onCall = (own) => hit(host, own, "at a call");
  }
  try {
    world.begin();
    await world.play(settle(world, scene), sceneBoundMs);
    return points;
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new BrokenPromise(`${message}\n${world.report()}`, { cause: thrown });
  } finally {
    world.remove();
  }
}

async function settle(world: World, scene: Scene): Promise<void> {
  await world.until("a gateway serves", () => world.isServing, settleBoundMs);
  await approve(world);
  await scene(world).catch((thrown: unknown) => {
    if (thrown instanceof BrokenPromise) throw thrown;
    world.note(`given up: ${String(thrown)}`);
  });
  await world.until("a gateway serves again", () => world.isServing, settleBoundMs);
  await world.until("every process has an owner", () => world.strangers.length === 0, endBoundMs);
  await world
    .until("both records agree", () => disagreement(world) === undefined, 2 * abandonedMs)
    .catch(() => {
      throw new BrokenPromise(disagreement(world) ?? "they agreed late");
    });
  const twice = [...world.births].filter(([, count]) => count > 1);
  if (twice.length > 0) throw new BrokenPromise(`started more than once: ${JSON.stringify(twice)}`);
  await world.end();
}
