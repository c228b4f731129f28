/**
 * The cgroup of one `holdfast run`, where this user may make one: a leaf beside this process, for the command and all that
 * it starts; the shells stay outside. It adds to their walking what walking cannot give: one stroke that ends everything,
 * whoever of the shells is left to strike, and the kernel's own word for empty.
 */
import {
  accessSync,
  constants,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { ownCgroupDirectory } from "./cgroup-mount.ts";
import { killCgroup, removeCgroup } from "./cgroup-tree.ts";
import { setKernelLimits } from "./kernel-limits.ts";
import { isAlive, type TreeLimits } from "../types.ts";
import { readProcess } from "./processes.ts";

const prefix = "holdfast-run-";

/** Numbers of pids mean nothing in another pid namespace, which may share the cgroup. */
function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "");
}

/** `holdfast-run-<pid>.<start time>.<pid namespace>`: the process that the caller knows, which keeps both over execve. */
function nameOf(pid: number): string {
  return `${prefix}${pid}.${readProcess(pid)?.startTime ?? 0}.${pidNamespace()}`;
}

/** An empty leaf of another pid namespace is somebody's who is about to be born in it, or it is left over: then it stays. */
const strangersMs = 600_000;

/** Removes it if it has been empty for long: all of a container may be killed in one instant, and nobody is left in there. */
function removeStrangers(leaf: string): void {
  const made = statSync(leaf, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
  if (systemClock.now() - made < strangersMs) return;
  try {
    rmdirSync(leaf);
  } catch {
    // Somebody lives in it.
  }
}

/** Takes down what runs left whose every process was killed in the same instant; ends nothing of other namespaces' runs. */
function sweepDeadRuns(directory: string): void {
  const namespace = pidNamespace();
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(prefix)) continue;
    const [pid = "", startTime, where] = name.slice(prefix.length).split(".");
    const owner = readProcess(Number(pid));
    const leaf = join(directory, name);
    if (where !== namespace) removeStrangers(leaf);
    if (where !== namespace || (isAlive(owner) && owner.startTime === startTime)) continue;
    killCgroup(leaf);
    removeCgroup(leaf); // what is dying still stays for the next sweep
  }
}

/** Makes the leaf of this process with these limits, as far as the kernel can hold them, or says why it cannot have one. Nothing is left when it says so. */
export function makeRunGroup(limits: TreeLimits): { leaf: string } | { reason: string } {
  const own = ownCgroupDirectory();
  if ("reason" in own) return own;
  const leaf = join(own.directory, nameOf(process.pid));
  try {
    // Whoever joins needs this right too, and must not learn it only then.
    accessSync(join(own.directory, "cgroup.procs"), constants.W_OK);
    mkdirSync(leaf);
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
  try {
    sweepDeadRuns(own.directory);
    accessSync(join(leaf, "cgroup.kill"), constants.W_OK);
    const type = readFileSync(join(leaf, "cgroup.type"), "latin1").trim();
    if (type === "domain") {
      setKernelLimits(leaf, limits);
      return { leaf };
    }
    removeCgroup(leaf);
    return { reason: `a cgroup here would be "${type}"` };
  } catch (error) {
    removeCgroup(leaf);
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}
