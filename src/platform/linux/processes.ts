/** Reads the live process table. A process is identified by pid, start time and boot id, never by a bare pid. */
import { readFileSync, readdirSync } from "node:fs";
import { endianness, uptime } from "node:os";
import { systemClock } from "../../clock.ts";
import { isAlive, type ProcessInfo, type ProcessRef, type ProcessState, type ProcessTable } from "../types.ts";
import { spareDescriptors } from "../unix/spare-descriptors.ts";

/**
 * A process as Linux shows it. `startTime` is field 22 of /proc/<pid>/stat: clock ticks after boot, never reused together with
 * the pid in one boot. `cpuMs` has a resolution of 10.
 */
export interface LinuxProcess extends ProcessInfo {
  readonly processGroup: number;
  readonly session: number;
  /** Its controlling terminal; 0 = none. */
  readonly terminal: number;
  /** Foreground process group of that terminal; -1 without one. */
  readonly foregroundGroup: number;
  /** A kernel thread. The pid cannot tell: process 2 of a container is any program. */
  readonly isKernelThread: boolean;
}

/** Letters of /proc/<pid>/stat. */
const states: Record<string, ProcessState> = {
  R: "running",
  S: "sleeping",
  D: "uninterruptible",
  T: "stopped",
  t: "traced",
  I: "idle",
  Z: "zombie",
  X: "dead",
};

/** PF_KTHREAD in the flags of a process. */
const kernelThreadFlag = 0x0020_0000;
/** Ticks of `startTime` per second: USER_HZ is 100 on every architecture of Node. */
export const ticksPerSecond = 100;
/** AT_PAGESZ of the auxiliary vector: key and value pairs, 8 bytes each on the processors of Node. */
const pageSizeKey = 6n;

/** The page size in this auxiliary vector; the usual one if it is missing. */
export function pageSizeIn(vector: Uint8Array): number {
  const bytes = Buffer.from(vector);
  const isLittle = endianness() === "LE";
  const word = (at: number) => (isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  for (let at = 0; at + 16 <= bytes.length; at += 16) if (word(at) === pageSizeKey) return Number(word(at + 8));
  return 4096;
}

let knownPageBytes: number | undefined;

/** Unit of every memory figure in stat and statm: 4, 16 or 64 KiB, depending on the kernel. */
export function pageBytes(): number {
  knownPageBytes ??= pageSizeIn(readFileSync("/proc/self/auxv"));
  return knownPageBytes;
}

let knownBootId: string | undefined;

/** Identifies this boot; a record of another boot must never lead to a signal. */
export function bootId(): string {
  knownBootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return knownBootId;
}

function readOrUndefined(path: string): string | undefined {
  try {
    // Node.js reads utf8 in one call, two to three times as fast as any other encoding.
    return spareDescriptors.look(() => readFileSync(path, "utf8"));
  } catch {
    return undefined; // the process ended, or is not ours to read: nothing to see either way
  }
}

/** One process, or undefined when none has this number. */
export function readProcess(pid: number): LinuxProcess | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name is in parentheses and may hold anything, so fields are counted after the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = states[fields[0] ?? "X"] ?? "unknown";
  return {
    pid,
    bootId: bootId(),
    // A multithreaded zombie is a first thread that ended before the others, which are alive.
    state: state === "zombie" && Number(fields[17]) > 1 ? "headless" : state,
    ppid: Number(fields[1]),
    processGroup: Number(fields[2]),
    session: Number(fields[3]),
    terminal: Number(fields[4]),
    foregroundGroup: Number(fields[5]),
    isKernelThread: (Number(fields[6]) & kernelThreadFlag) !== 0,
    startTime: fields[19] ?? "0",
    rssBytes: Number(fields[21]) * pageBytes(),
    cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond,
  };
}

/** The identity of a live process. */
export function identify(pid: number): ProcessRef | undefined {
  const info = readProcess(pid);
  return isAlive(info) ? { pid, startTime: info.startTime, bootId: bootId() } : undefined;
}

/** Whether this exact process (not its number) is alive. */
export function isSameAlive(identity: ProcessRef): boolean {
  if (identity.bootId !== bootId()) return false;
  const info = readProcess(identity.pid);
  return isAlive(info) && info.startTime === identity.startTime;
}

/** Every pid in the table. */
export function allPids(): number[] {
  const pids: number[] = [];
  for (const name of spareDescriptors.look(() => readdirSync("/proc"))) {
    const first = name.charCodeAt(0);
    if (first >= 49 && first <= 57) pids.push(Number(name));
  }
  return pids;
}

/** The children that the kernel lists for a process, over all its threads, including zombies. */
export function childrenOf(pid: number): number[] {
  let tasks: string[];
  try {
    tasks = spareDescriptors.look(() => readdirSync(`/proc/${pid}/task`));
  } catch {
    return []; // ended
  }
  const children: number[] = [];
  for (const task of tasks) {
    const line = readOrUndefined(`/proc/${pid}/task/${task}/children`);
    if (line === undefined) continue;
    for (const word of line.split(" ")) if (word !== "" && word !== "\n") children.push(Number(word));
  }
  return children;
}

/** All descendants of a process, parents before children; `skip` prunes whole branches. */
export function descendantsOf(root: number, skip: ReadonlySet<number> = new Set()): LinuxProcess[] {
  const found: LinuxProcess[] = [];
  const seen = new Set<number>([root]);
  const queue = [root];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    for (const child of childrenOf(parent)) {
      if (skip.has(child) || seen.has(child)) continue;
      seen.add(child);
      queue.push(child);
      const info = readProcess(child);
      if (info !== undefined) found.push(info);
    }
  }
  return found;
}

/** The initial environment of a process, or undefined when access is denied. */
export function readEnvironment(pid: number): string | undefined {
  return readOrUndefined(`/proc/${pid}/environ`);
}

/** Command line for people: arguments joined by blanks, or the kernel's name in brackets. */
function commandOf(pid: number): string {
  const line = readOrUndefined(`/proc/${pid}/cmdline`) ?? "";
  if (line !== "") return line.replaceAll("\0", " ").trimEnd();
  return `[${readOrUndefined(`/proc/${pid}/comm`)?.trimEnd() ?? "?"}]`;
}

/** Start of a process, in milliseconds since the epoch (to about 10 ms). */
export function startedAtOf(info: Pick<ProcessRef, "startTime">): number {
  return Math.round(systemClock.now() - uptime() * 1000 + (Number(info.startTime) / ticksPerSecond) * 1000);
}

export const processes: ProcessTable = {
  read: readProcess,
  pids: allPids,
  children: childrenOf,
  descendants: descendantsOf,
  command: commandOf,
  startedAt: startedAtOf,
  environment: readEnvironment,
};
