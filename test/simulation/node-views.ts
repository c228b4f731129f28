/** What scenes ask about a node and its runs. */
import { ask, must, type RunView } from "./acts.ts";
import type { NodeHost } from "./node-host.ts";
import { scriptOf } from "./scripted.ts";
import type { World } from "./world.ts";

export interface NodeView {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly connected: boolean;
  readonly waiting: boolean;
  readonly runs: number;
  readonly once: boolean;
  readonly silentSince: number | null;
  readonly roundTripMs: number | null;
  readonly address: string | null;
  readonly connectedAt: number | null;
  readonly lastSeenAt: number;
}

export interface NodeRunView extends RunView {
  readonly silentSince: number | null;
  readonly host: string;
  readonly signal: string | null;
  readonly endedAt: number | null;
  readonly processes: readonly object[];
}

export interface Invoked {
  readonly run: NodeRunView;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

export const stay = (mark: string) => scriptOf(mark, { stay: true });

export async function viewOf(world: World): Promise<NodeView | undefined> {
  const all = await ask<NodeView[]>(world, "node.list");
  return all.find(({ id }) => id === world.node?.id);
}

/** Its keeper is killed, and the next life has what was set meanwhile. */
export async function relive(world: World, change: (node: NodeHost) => void = () => {}): Promise<NodeHost> {
  const node = world.node!;
  const life = node.life;
  change(node);
  node.machine.kernel.signal(life!.platform.own, "SIGKILL");
  await world.until("the next life of the node", () => node.life !== life && node.front !== undefined, 30_000);
  return node;
}

export async function until(
  world: World,
  what: string,
  look: (view: NodeView | undefined) => boolean,
  boundMs = 60_000,
): Promise<void> {
  const end = world.simulation.nowMs + boundMs;
  for (let view = await viewOf(world); !look(view); view = await viewOf(world)) {
    must(world.simulation.nowMs < end, `not within ${boundMs} ms: ${what}: ${JSON.stringify(view)}`);
    await world.clock.sleep(100);
  }
}

export async function startOn(world: World, line: string, more: object = {}): Promise<NodeRunView> {
  return ask<NodeRunView>(world, "run.start", { argv: ["/bin/sh", "-c", line], cwd: "/", host: "mill", ...more });
}

export const waitFor = (world: World, id: string, waitMs = 30_000) =>
  ask<NodeRunView>(world, "run.wait", { id, waitMs });
export const liveOn = ({ node }: World) => node!.servants.length;
