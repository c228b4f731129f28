/**
 * Limits enforced by the kernel through the `memory` and `pids` controllers of cgroup v2, where delegated. They bound a tree's
 * overshoot between two looks; polling continues regardless.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Excess, TreeLimits } from "../types.ts";

const controllers = ["memory", "pids"] as const;

/**
 * The controller counts threads, the limit counts processes; a Node.js process has about a dozen threads. With this allowance
 * per process, polling catches too many processes and the kernel catches forks faster than polling.
 */
const threadsPerProcess = 32;

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return otherwise; // missing in this kernel or cgroup
  }
}

function write(path: string, value: string): boolean {
  try {
    writeFileSync(path, value);
    return true;
  } catch {
    return false; // not ours to set, or in use; polling enforces the limit
  }
}

/** Enables a cgroup's own controllers for its children; returns the newly enabled ones. */
export function delegateControllers(directory: string, wanted: readonly string[] = controllers): string[] {
  const words = (file: string) => readOr(join(directory, file), "").trim().split(" ");
  const given = words("cgroup.subtree_control");
  const missing = words("cgroup.controllers").filter((name) => wanted.includes(name) && !given.includes(name));
  return missing.filter((name) => write(join(directory, "cgroup.subtree_control"), `+${name}`));
}

export function withdrawControllers(directory: string, names: readonly string[]): void {
  for (const name of names) write(join(directory, "cgroup.subtree_control"), `-${name}`);
}

/** Sets these limits for a leaf, as far as it has the files; returns those enforced. */
export function setKernelLimits(leaf: string, limits: TreeLimits): ("memory" | "processes")[] {
  const set = (file: string, value: number) => existsSync(join(leaf, file)) && write(join(leaf, file), String(value));
  const held: ("memory" | "processes")[] = [];
  if (limits.memoryBytesMax !== undefined && set("memory.max", limits.memoryBytesMax)) {
    set("memory.swap.max", 0); // otherwise the tree would be swapped out instead of ended
    set("memory.oom.group", 1); // the whole tree instead of its largest process
    held.push("memory");
  }
  if (limits.processesMax !== undefined && set("pids.max", limits.processesMax * threadsPerProcess))
    held.push("processes");
  return held;
}

function countOf(path: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, "m").exec(readOr(path, ""))?.[1] ?? 0);
}

/** The limit of this leaf for which the kernel has killed or refused something. */
export function kernelExcess(leaf: string): Excess | undefined {
  const allowed = (file: string) => Number(readOr(join(leaf, file), "0"));
  if (countOf(join(leaf, "memory.events"), "oom_kill") > 0)
    return { limit: "memoryBytesMax", allowed: allowed("memory.max") };
  if (countOf(join(leaf, "pids.events"), "max") > 0) return { limit: "processesMax", allowed: allowed("pids.max") };
  return undefined;
}
