/**
 * The cgroup of one `holdfast run`, where this user may create one: a leaf beside this process, for the command and all its
 * descendants; the shells stay outside. It adds two things to walking the tree: one kill that ends everything, whichever shell
 * survives to issue it, and the kernel's proof of empty.
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

/** Pids are meaningless in another pid namespace, which may share the cgroup. */
function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "");
}

/** `holdfast-run-<pid>.<start time>.<pid namespace>`: of the process that the caller knows, which keeps both over execve. */
function nameOf(pid: number): string {
  return `${prefix}${pid}.${readProcess(pid)?.startTime ?? 0}.${pidNamespace()}`;
}

/** An empty leaf of another pid namespace belongs to an upcoming command, or is left over: keep it this long. */
const strangersMs = 600_000;

/** Removes it if it has been empty for long: a whole container may be killed in one instant, with no process left to do it. */
function removeStrangers(leaf: string): void {
  const made = statSync(leaf, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
  if (systemClock.now() - made < strangersMs) return;
  try {
    rmdirSync(leaf);
  } catch {
    // It is populated.
  }
}

/** Removes the groups of runs whose processes were all killed in one instant; other namespaces' runs are left alone. */
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
    removeCgroup(leaf); // a group with dying processes stays for the next sweep
  }
}

/** Makes this process's leaf with the limits that the kernel can enforce. On failure leaves nothing and returns the reason. */
export function makeRunGroup(limits: TreeLimits): { leaf: string } | { reason: string } {
  const own = ownCgroupDirectory();
  if ("reason" in own) return own;
  const leaf = join(own.directory, nameOf(process.pid));
  try {
    // The joining process needs this permission too: check it early.
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
