/** What a process holds now, as the kernel says: to be the same after a thousand runs as before the first. */
import { readdirSync } from "node:fs";
import { statOf } from "../../helpers/pids.ts";

/** Open descriptors of a process; 0 when it is gone. */
export function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Live processes below one, zombies left out. */
export function familyOf(pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined && stat.state !== "Z") parents.set(Number(name), stat.ppid);
  }
  const isBelow = (one: number): boolean => {
    const parent = parents.get(one);
    return parent !== undefined && (parent === pid || isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow).length;
}
