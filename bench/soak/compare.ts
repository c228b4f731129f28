/** One look: what Holdfast says beside what the operating system says, line by line. */
import { setTimeout as delay } from "node:timers/promises";
import type { NodeView } from "../../src/protocol/api/node.ts";
import type { SessionView } from "../../src/protocol/api/session.ts";
import type { GatewayStatus } from "../../src/protocol/api/gateway.ts";
import type { RunView } from "../../src/protocol/run.ts";
import type { Gateway } from "../../test/helpers/gateway.ts";
import type { Home } from "../../test/helpers/home.ts";
import { exchange } from "../../test/helpers/http.ts";
import * as kernel from "./kernel.ts";
import { nodeName, type ComingNode } from "./node.ts";

export interface Comparison {
  what: string;
  said: string;
  kernel: string;
  agrees: boolean;
  /** For the report: how much of it there is. */
  count: number;
}

/** Time for the connection of a question to be gone from both sides. */
const askedMs = 50;
/** Of descriptors: the connection that asks, and what the look itself opens. */
const descriptorSlack = 3;
/** Of memory: it changes between the two readings. */
const memorySlackBytes = 12 * 1024 * 1024;
/** A session may outlive its lease for so long: leases are looked at now and then. */
const leaseSlackMs = 10_000;

type Name = "connections" | "open_fds" | "resident_memory_bytes" | "sessions" | "runs";

/** The samples of one metric, by the value of its first label. */
function samplesOf(text: string, name: Name): Map<string, number> {
  const samples = text.matchAll(new RegExp(`^holdfast_${name}\\{[a-z]+="([a-z]+)"[^}]*\\} (\\d+)`, "gm"));
  const sums = new Map<string, number>();
  for (const [, label = "", value] of samples) sums.set(label, (sums.get(label) ?? 0) + Number(value));
  return sums;
}

const sum = (samples: Map<string, number>) => [...samples.values()].reduce((total, value) => total + value, 0);

/** Equal as text, so that both sides can be printed as they are. */
function same(what: string, said: string[], found: string[], count = found.length): Comparison {
  const [one, other] = [said.toSorted().join(" ") || "none", found.toSorted().join(" ") || "none"];
  return { what, said: one, kernel: other, agrees: one === other, count };
}

function near(what: string, said: number, found: number, slack: number): Comparison {
  return { what, said: String(said), kernel: String(found), agrees: Math.abs(said - found) <= slack, count: found };
}

export async function compare(gateway: Gateway, node: ComingNode): Promise<Comparison[]> {
  const { home, url, token } = gateway;
  const headers = { authorization: `Bearer ${token}`, connection: "close" };
  const port = Number(new URL(url).port);
  const sessions = (await gateway.rpc("session.list")) as SessionView[];
  const nodes = (await gateway.rpc("node.list")) as NodeView[];
  const { keeper, front, guardian } = (await gateway.rpc("gateway.status")) as GatewayStatus;
  const pids = { keeper: keeper.pid, front: front.pid, guardian: guardian.pid };
  await delay(askedMs);
  const { text: metrics } = await exchange(`${url}/metrics`, { headers });
  const memory = kernel.memoryOf(pids);
  const fds = { front: kernel.descriptorsOf(pids.front), keeper: kernel.descriptorsOf(pids.keeper) };
  await delay(askedMs);
  // The connection that asked for the figures was one of them, and is gone.
  const open = sum(samplesOf(metrics, "connections")) - 1;
  const states = [...kernel.socketStates(port)].map(([state, count]) => `${state} ${count}`);
  const runs = (await gateway.rpc("run.list")) as RunView[];
  const local = runs.filter(({ host }) => host === "local");
  const descriptors = samplesOf(metrics, "open_fds");
  const told = samplesOf(metrics, "resident_memory_bytes");
  return [
    same("processes of runs", pidsOf(local), kernel.runProcesses(home).map(String)),
    same("front, guardian", [String(pids.front), String(pids.guardian)], kernel.ownProcesses(home, pids)),
    ...compareGroups(home, local),
    ...compareNode({ runs, nodes, node, port }),
    { ...same("sockets by state", open === 0 ? [] : [`ESTABLISHED ${open}`], states), count: open },
    near("front's descriptors", descriptors.get("front") ?? 0, fds.front, descriptorSlack),
    near("keeper's descriptors", descriptors.get("keeper") ?? 0, fds.keeper, descriptorSlack),
    near("keeper's memory", told.get("keeper") ?? 0, memory.keeper, memorySlackBytes),
    near("front's memory", told.get("front") ?? 0, memory.front, memorySlackBytes),
    near("guardian's memory", told.get("guardian") ?? 0, memory.guardian, memorySlackBytes),
    // The operating system knows no sessions: here what is said is held to itself, and to the leases.
    near("sessions", sum(samplesOf(metrics, "sessions")), sessions.length, 0),
    same("sessions over their lease", overdue(sessions), []),
    near("live runs", sum(samplesOf(metrics, "runs")), local.length, 0),
  ];
}

function compareGroups(home: Home, local: RunView[]): Comparison[] {
  if (home.tier !== "cgroup") return [];
  const { fences, runs } = kernel.cgroupNames(home);
  const ids = local.map(({ id }) => id);
  return [same("cgroups of runs", ids, runs), near("other cgroups", 2, fences, 0)];
}

interface NodeLook {
  runs: RunView[];
  nodes: NodeView[];
  node: ComingNode;
  port: number;
}

/** Away, it is said to be away and nothing of it lives; here, its link is open and its processes are those that are said. */
function compareNode({ runs, nodes, node, port }: NodeLook): Comparison[] {
  const { pids, home } = node;
  const isSaid = nodes.some(({ name, connected }) => name === nodeName && connected);
  const theirs = runs.filter(({ host, state }) => host === nodeName && (state === "running" || state === "stopping"));
  const isOpen = pids !== undefined && kernel.isConnected(pids.front, port);
  const link = same("link of the node", [isSaid ? "open" : "none"], [isOpen ? "open" : "none"], isOpen ? 1 : 0);
  const processes = kernel.runProcesses(home).map(String);
  const groups = kernel.cgroupNames(home);
  const fences = pids === undefined ? 0 : 2;
  return [
    link,
    same("processes on the node", pidsOf(theirs), processes),
    ...(home.tier === "cgroup"
      ? [
          near("cgroups of runs on the node", theirs.length, groups.runs.length, 0),
          near("other cgroups of the node", fences, groups.fences, 0),
        ]
      : []),
    ...(pids === undefined
      ? []
      : [same("the node's front, guardian", [`${pids.front}`, `${pids.guardian}`], kernel.ownProcesses(home, pids))]),
  ];
}

function pidsOf(runs: RunView[]): string[] {
  return runs.flatMap(({ processes }) => processes.map(({ pid }) => String(pid)));
}

function overdue(sessions: SessionView[]): string[] {
  const now = Date.now();
  return sessions
    .filter(({ present, lastSeenAt, leaseMs }) => !present && now - lastSeenAt > leaseMs + leaseSlackMs)
    .map(({ id }) => id);
}
