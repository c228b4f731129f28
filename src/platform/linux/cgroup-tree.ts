/** One cgroup and what is below it: who is in it, whether anybody is, its end and its removal. All of it by reading and writing files. */
import { readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { spareDescriptors } from "./spare-descriptors.ts";

/** Every directory of a cgroup subtree, leaves first. */
export function subtree(directory: string): string[] {
  let names: string[];
  try {
    names = spareDescriptors
      .look(() => readdirSync(directory, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return []; // gone
  }
  return [...names.flatMap((name) => subtree(join(directory, name))), directory];
}

/** Processes of this very cgroup, without those further down. */
export function pidsIn(directory: string): number[] {
  try {
    const list = spareDescriptors.look(() => readFileSync(join(directory, "cgroup.procs"), "latin1"));
    return list.split("\n").filter(Boolean).map(Number);
  } catch {
    return []; // gone, or a threaded leaf, whose processes its parent lists
  }
}

/** Whether any process is in it or below. What cannot be read counts as populated: only the kernel's word is a proof. */
export function isPopulated(directory: string): boolean {
  try {
    const events = spareDescriptors.look(() => readFileSync(join(directory, "cgroup.events"), "latin1"));
    return events.includes("populated 1");
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    return code !== "ENOENT" && code !== "ENODEV" && code !== "ENOTDIR"; // gone: nothing can be in it
  }
}

/** Asks the kernel to kill every process of it; `isPopulated` tells when they are gone. */
export function killCgroup(directory: string): void {
  try {
    writeFileSync(join(directory, "cgroup.kill"), "1");
  } catch {
    // gone already, or taken from us: the look that follows decides
  }
}

/** Removes a cgroup with everything below it; what is still populated stays and is seen by the next sweep. */
export function removeCgroup(directory: string): boolean {
  let removed = true;
  for (const each of subtree(directory)) {
    try {
      rmdirSync(each);
    } catch {
      removed = false;
    }
  }
  return removed;
}
