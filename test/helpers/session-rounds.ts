/** Opens and ends sessions in rounds, and looks between rounds at what a leak would make grow. */
import { readFileSync, readdirSync } from "node:fs";
import type { Gateway } from "./gateway.ts";
import { statOf } from "./pids.ts";
import { fixture } from "./servers.ts";
import { until } from "./until.ts";

export interface RoundFacts {
  ms: number;
  /** Processes below the keeper, itself included. */
  processes: number;
  keeperDescriptors: number;
  frontDescriptors: number;
  keeperBytes: number;
  frontBytes: number;
}

export const lightServers = { light: { command: "sh", args: [fixture("light-server.sh")] } };

function processesBelow(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^[1-9]/.test(name)) continue;
    const stat = statOf(Number(name));
    if (stat !== undefined && stat.state !== "Z") parents.set(Number(name), stat.ppid);
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid === root || (pid !== undefined && isBelow(parents.get(pid)));
  return [...parents.keys()].filter(isBelow).length;
}

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
export const residentOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;

export function look(gateway: Gateway): Omit<RoundFacts, "ms"> {
  const { keeper, front } = gateway.pids;
  return {
    processes: processesBelow(keeper),
    keeperDescriptors: descriptorsOf(keeper),
    frontDescriptors: descriptorsOf(front),
    keeperBytes: residentOf(keeper),
    frontBytes: residentOf(front),
  };
}

async function oneSession(gateway: Gateway): Promise<void> {
  using client = gateway.mcp("light");
  await client.initialize();
  const answer = await client.call("echo");
  if (answer.error !== undefined) throw new Error(answer.error.message);
  const status = await client.delete();
  if (status >= 300) throw new Error(`DELETE was answered with ${status}`);
}

/** One round: so many sessions, some at a time, each opened, used once and deleted. */
async function oneRound(gateway: Gateway, sessions: number, atOnce: number): Promise<RoundFacts> {
  const began = performance.now();
  let begun = 0;
  const lane = async () => {
    while (begun < sessions) {
      begun += 1;
      await oneSession(gateway);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const ms = Math.round(performance.now() - began);
  // The sockets of the last clients close a moment after their sessions; runs are gone when DELETE is answered or soon after.
  let last = look(gateway);
  const isQuiet = async () => {
    const now = look(gateway);
    const same = now.processes === last.processes && now.frontDescriptors === last.frontDescriptors;
    last = now;
    return same && ((await gateway.rpc("session.list")) as unknown[]).length === 0;
  };
  await until("no session and a quiet table", isQuiet, { boundMs: 10_000, everyMs: 100 });
  return { ms, ...last };
}

export async function playRounds(
  gateway: Gateway,
  shape: { rounds: number; sessions: number; atOnce: number },
  tell: (facts: RoundFacts) => void = () => {},
): Promise<RoundFacts[]> {
  const facts: RoundFacts[] = [];
  for (let round = 0; round < shape.rounds; round += 1) {
    const found = await oneRound(gateway, shape.sessions, shape.atOnce);
    facts.push(found);
    tell(found);
  }
  return facts;
}
