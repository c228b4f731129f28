/** What the operating system knows of a gateway and of a node: the truth that every count of Holdfast's is held to. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { socketsOf } from "../../test/gateway/helpers/kernel-sockets.ts";
import type { Home } from "../../test/helpers/home.ts";
import { statOf } from "../../test/helpers/pids.ts";
import { argumentsOf, residentBytes, treeOf } from "../machine.ts";

export interface Pids {
  keeper: number;
  front: number;
  guardian: number;
}

/** Each run on the cgroup tier has a small parent of ours, which carries its mark and is no process of it. */
const isLauncher = (pid: number) => argumentsOf(pid)[0]?.endsWith("/bin/cgroup-launcher") === true;

/** Processes of runs: those with the mark of this state directory. */
export function runProcesses(home: Home): number[] {
  return home
    .marked()
    .filter((pid) => !isLauncher(pid))
    .toSorted(byNumber);
}

/** Processes below the keeper that are no run's: front, guardian, and whatever should not be there, zombies included. */
export function ownProcesses(home: Home, { keeper }: Pids): string[] {
  const marked = new Set(home.marked());
  const own = treeOf(keeper).filter((pid) => pid !== keeper && !marked.has(pid));
  return own.flatMap((pid) => {
    const stat = statOf(pid);
    return stat === undefined ? [] : [stat.state === "Z" ? `${pid} (zombie)` : String(pid)];
  });
}

/** Directories of this owner in the cgroup file system: ids of runs, and the names of fences. */
export function cgroupNames(home: Home): { fences: number; runs: string[] } {
  const fences = home.cgroups();
  const runs = fences.flatMap((fence) => namesIn(join(fence, "runs")));
  return { fences: fences.length, runs: runs.toSorted() };
}

function namesIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return []; // the guardian's own has none, or it was removed
  }
}

export function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0; // it ended
  }
}

/** The server's side of all connections, by state: `ESTABLISHED 12`. */
export function socketStates(port: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { state } of socketsOf(port)) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

/** Whether a process has an open connection to that port of this machine. */
export function isConnected(pid: number, port: number): boolean {
  const needle = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set(
    readFileSync("/proc/net/tcp", "latin1")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , remote = "", state]) => remote.endsWith(needle) && state === "01")
      .map((fields) => `socket:[${fields[9]}]`),
  );
  return namesOfDescriptors(pid).some((target) => inodes.has(target));
}

function namesOfDescriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${name}`)];
      } catch {
        return []; // closed since it was listed
      }
    });
  } catch {
    return []; // it ended
  }
}

export function memoryOf({ keeper, front, guardian }: Pids): Record<keyof Pids, number> {
  return { keeper: residentBytes(keeper), front: residentBytes(front), guardian: residentBytes(guardian) };
}

function byNumber(first: number, second: number): number {
  return first - second;
}
