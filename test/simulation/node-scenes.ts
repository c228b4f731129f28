/** Scenes with a node: commands on it, its link that is lost and comes back, and the end of each side while a run lives. */
import type { Host } from "./host.ts";
import { BrokenPromise, endBoundMs, type World } from "./world.ts";

const connectBoundMs = 120_000;
/** The default of `nodes.leaseMs`, and what both sides add for each other. */
export const leaseMs = 30_000;
/** Longest that a process on a node may live when no gateway wants it: lease, graces, and the bound of any end. */
export const abandonedMs = leaseMs + 5000 + endBoundMs;

/** An admin lets the node in, however often that is interrupted. */
export async function approve(world: World, boundMs = connectBoundMs): Promise<void> {
  const { node } = world;
  if (node === undefined) return;
  for (const end = world.simulation.nowMs + boundMs; !(await isConnected(world)); await world.clock.sleep(250)) {
    if (world.simulation.nowMs > end) throw new BrokenPromise(`the node was not connected within ${boundMs} ms`);
    if (!world.isServing) continue;
    await attempt(world.client().rpc("node.approve", { node: node.id, name: node.name }));
  }
}

async function isConnected(world: World): Promise<boolean> {
  if (!world.isServing) return false;
  const answer = await attempt(world.client().rpc("node.list"));
  const nodes = (answer?.["result"] ?? []) as { id: string; state: string; connected: boolean }[];
  return nodes.some(({ id, state, connected }) => id === world.node?.id && state === "approved" && connected);
}

/** Undefined when the connection was lost. */
function attempt<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((): undefined => undefined);
}

export async function runOnNode(world: World, line: string, more: object = {}): Promise<string> {
  const params = { argv: ["/bin/sh", "-c", line], cwd: "/", host: world.node?.name, ...more };
  const { result, error } = await world.client().rpc("run.start", params);
  if (result === undefined) world.note(`no run on the node: ${JSON.stringify(error)}`);
  return (result as { id: string } | undefined)?.id ?? "";
}

interface Recorded {
  readonly id: string;
  readonly state: string;
}

/** What each side has on record about the runs on the node, once both had time to compare. */
export function disagreement({ site, node }: World): string | undefined {
  if (node === undefined) return undefined;
  // The record of a node that is not let in stays as it was, since only the node can tell.
  const isIn = site.disk.rows("nodes.db", "select id from nodes where state = 'approved'").length > 0;
  const theirs = site.disk.rows("nodes.db", "select id, state from runs") as unknown as Recorded[];
  const sql = "select request_id as id, state from runs where request_id is not null";
  const own = new Map(
    (node.disk.rows("ledger.sqlite", sql) as unknown as Recorded[]).map(({ id, state }) => [id, state]),
  );
  for (const { id, state } of theirs) {
    const there = own.get(id);
    const isOver = state === "exited";
    if (there === undefined ? isOver || state === "lost" : isOver === (there === "exited")) continue;
    if (!isIn && state === "lost") continue;
    return `run ${id} is ${state} on record at the gateway, and ${there ?? "unknown"} at the node`;
  }
  const known = new Set(theirs.map(({ id }) => id));
  const [stray] = [...own].filter(([id, state]) => !known.has(id) && state !== "exited");
  return stray && `run ${stray[0]} is ${stray[1]} at the node, and unknown at the gateway`;
}

async function kill(world: World, host: Host, command: "front" | "keeper"): Promise<void> {
  const own = command === "front" ? host.front?.own : host.life?.platform.own;
  if (own === undefined) return;
  host.machine.kernel.signal(own, "SIGKILL");
  await world.until(`the ${command} of ${host.name} is gone`, () => !own.isAlive, endBoundMs);
}

async function endOf(world: World, id: string): Promise<void> {
  await world.client().rpc("run.kill", { id });
}

export const nodeScenes: Record<string, (world: World) => Promise<void>> = {
  "a node is let in": async () => {},
  "a command runs on a node": async (world) => {
    const id = await runOnNode(world, "500 a");
    await world.client().rpc("run.wait", { id });
  },
  "a run on a node is killed": async (world) => endOf(world, await runOnNode(world, "daemon a")),
  "a node returns to its run": async (world) => {
    const id = await runOnNode(world, "daemon a");
    world.node?.link.cut("both");
    await world.clock.sleep(15_000);
    world.node?.link.mend(false);
    await endOf(world, id);
  },
  "a node returns after its lease": async (world) => {
    await runOnNode(world, "daemon a");
    world.node?.link.cut("to the gateway");
    await world.until("the run is ended there", () => world.node?.servants.length === 0, abandonedMs);
    world.node?.link.mend(true);
    await approve(world);
  },
  "the answer to a start is lost": async (world) => {
    world.node?.link.cut("to the gateway");
    const started = runOnNode(world, "daemon a");
    started.catch(() => {});
    await world.clock.sleep(1000);
    world.node?.link.mend(false);
    await endOf(world, await started);
  },
  "the gateway's front dies while a node runs for it": async (world) => {
    const id = await runOnNode(world, "daemon a");
    await kill(world, world.site, "front");
    await approve(world);
    await endOf(world, id);
  },
  "the gateway dies while a node runs for it": async (world) => {
    await runOnNode(world, "daemon a");
    await kill(world, world.site, "keeper");
    await approve(world);
  },
  "the node's front dies while it runs a command": async (world) => {
    const id = await runOnNode(world, "daemon a");
    await kill(world, world.node!, "front");
    await endOf(world, id);
  },
  "the node dies while it runs a command": async (world) => {
    const id = await runOnNode(world, "daemon a");
    await kill(world, world.node!, "keeper");
    await world.client().rpc("run.wait", { id, waitMs: 10_000 });
  },
  "a full disk delays the record of a run on a node": async (world) => {
    const id = await runOnNode(world, "500 a");
    world.site.disk.isFull = true;
    await attempt(world.client().rpc("run.wait", { id }));
    await world.clock.sleep(3000);
    world.site.disk.isFull = false;
  },
  "a node is revoked while it runs a command": async (world) => {
    await runOnNode(world, "daemon a");
    await world.client().rpc("node.revoke", { node: world.node?.name });
  },
};
