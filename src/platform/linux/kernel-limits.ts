/**
 * Limits that the kernel itself holds, by the `memory` and `pids` controllers of cgroup v2, where they are delegated. They
 * bound what a tree can overshoot between two looks at it; they are looked at all the same.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Excess, TreeLimits } from "../types.ts";

const controllers = ["memory", "pids"];

/**
 * The controller counts threads, the limit counts processes; a Node.js process has about a dozen. So this many are let
 * pass for each process: the look refuses what has too many processes, the kernel what forks faster than one can look.
 */
const threadsPerProcess = 32;

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return otherwise; // this kernel or this cgroup has no such file
  }
}

function write(path: string, value: string): boolean {
  try {
    writeFileSync(path, value);
    return true;
  } catch {
    return false; // not ours to set, or in use; what is not held by the kernel is held by looking
  }
}

/** Gives the children of a cgroup the controllers that it has itself; says which of them they did not have before. */
export function delegateControllers(directory: string, wanted: readonly string[] = controllers): string[] {
  const words = (file: string) => readOr(join(directory, file), "").trim().split(" ");
  const given = words("cgroup.subtree_control");
  const missing = words("cgroup.controllers").filter((name) => wanted.includes(name) && !given.includes(name));
  return missing.filter((name) => write(join(directory, "cgroup.subtree_control"), `+${name}`));
}

export function withdrawControllers(directory: string, names: readonly string[]): void {
  for (const name of names) write(join(directory, "cgroup.subtree_control"), `-${name}`);
}

/** Has the kernel hold these limits for a leaf, as far as the leaf has the files for it; says which are held. */
export function setKernelLimits(leaf: string, limits: TreeLimits): ("memory" | "processes")[] {
  const set = (file: string, value: number) => existsSync(join(leaf, file)) && write(join(leaf, file), String(value));
  const held: ("memory" | "processes")[] = [];
  if (limits.memoryBytesMax !== undefined && set("memory.max", limits.memoryBytesMax)) {
    set("memory.swap.max", 0); // else the tree would be swapped out instead of ended
    set("memory.oom.group", 1); // the whole tree, not its fattest process
    held.push("memory");
  }
  if (limits.processesMax !== undefined && set("pids.max", limits.processesMax * threadsPerProcess))
    held.push("processes");
  return held;
}

function countOf(path: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, "m").exec(readOr(path, ""))?.[1] ?? 0);
}

/** The limit of this leaf for which the kernel has killed or refused something, if any. */
export function kernelExcess(leaf: string): Excess | undefined {
  const allowed = (file: string) => Number(readOr(join(leaf, file), "0"));
  if (countOf(join(leaf, "memory.events"), "oom_kill") > 0)
    return { limit: "memoryBytesMax", allowed: allowed("memory.max") };
  if (countOf(join(leaf, "pids.events"), "max") > 0) return { limit: "processesMax", allowed: allowed("pids.max") };
  return undefined;
}
