/** A coalition as a tree to end: the kernel counts its tasks, and a look at every process finds its members. */
import { endScanned, type ScannedTree, type System } from "../ending.ts";
import type { MarkerScans } from "../marked.ts";
import { isAlive, type ProcessInfo } from "../types.ts";
import type { JobFiles } from "./job.ts";
import type { Launchd } from "./launchd.ts";
import type { Xnu } from "./xnu.ts";

/** Everything of the system that the tier needs; simulated ones take their place in tests. */
export interface CoalitionParts {
  readonly system: System;
  readonly xnu: Xnu;
  readonly launchd: Launchd;
  readonly files: JobFiles;
  readonly scans: MarkerScans;
  /** Of this process. */
  readonly ownPid: number;
  readonly umask: number;
}

export function membersOf({ xnu, system }: Pick<CoalitionParts, "xnu" | "system">, coalition: bigint): ProcessInfo[] {
  return xnu
    .pids()
    .filter((pid) => xnu.coalition(pid) === coalition)
    .map((pid) => system.processes.read(pid))
    .filter(isAlive);
}

/** The kernel's own count; of a coalition that it no longer shows, a look at every process. */
export function isEmpty(parts: Pick<CoalitionParts, "xnu" | "system">, coalition: bigint): boolean {
  const tasks = parts.xnu.coalitionTasks(coalition);
  return tasks === undefined ? membersOf(parts, coalition).length === 0 : tasks.started === tasks.exited;
}

/** Ends the members of a coalition and then what carries the run's marker outside it. Resolves with what is left. */
export function endCoalition(
  parts: CoalitionParts,
  coalition: bigint,
  marked: () => Promise<ProcessInfo[]>,
  boundMs: number,
): Promise<ProcessInfo[]> {
  const tree: ScannedTree = {
    members: () => membersOf(parts, coalition),
    looksEmpty: () => isEmpty(parts, coalition),
    marked,
    stand: () => undefined,
  };
  return endScanned(parts.system, tree, boundMs);
}

/** Whether it may be ended as a run's: not where launchd gave the job none of its own. */
export function isForeign({ xnu, ownPid }: Pick<CoalitionParts, "xnu" | "ownPid">, coalition: bigint): boolean {
  return coalition > 1n && xnu.coalition(ownPid) !== coalition;
}
