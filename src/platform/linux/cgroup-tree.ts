/** One cgroup subtree: its processes, whether it is populated, its end and its removal, all through files. */
import { readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { spareDescriptors } from "../unix/spare-descriptors.ts";

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

/** Processes of this cgroup alone, without its descendants. */
export function pidsIn(directory: string): number[] {
  try {
    const list = spareDescriptors.look(() => readFileSync(join(directory, "cgroup.procs"), "utf8"));
    return list.split("\n").filter(Boolean).map(Number);
  } catch {
    return []; // gone, or a threaded leaf, whose parent lists its processes
  }
}

/** Whether it holds any process. Unreadable counts as populated: only the kernel's answer is a proof. */
export function isPopulated(directory: string): boolean {
  try {
    const events = spareDescriptors.look(() => readFileSync(join(directory, "cgroup.events"), "utf8"));
    return events.includes("populated 1");
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    return code !== "ENOENT" && code !== "ENODEV" && code !== "ENOTDIR"; // gone: it cannot hold anything
  }
}

/** Asks the kernel to kill all its processes; `isPopulated` reports when they are gone. */
export function killCgroup(directory: string): void {
  try {
    writeFileSync(join(directory, "cgroup.kill"), "1");
  } catch {
    // already gone, or taken from us: the next look decides
  }
}

/** Removes a cgroup and its descendants; a populated one stays for the next sweep. */
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
