/**
 * Reads the live process table. A process is identified by its number and creation time, which is absolute: both together name
 * one process in all boots.
 */
import { isAlive, type ProcessInfo, type ProcessRef, type ProcessTable } from "../types.ts";
import { invalidHandle, windows, type Handle } from "./ffi.ts";

/** Rights to a process: QUERY_LIMITED_INFORMATION with SYNCHRONIZE, and VM_READ. */
const look = 0x1000 | 0x10_0000;
const readMemory = 0x10;
const hundredNsPerMs = 10_000n;
/** From 1601, where Windows begins to count, to 1970, in milliseconds. */
const windowsToUnixMs = 11_644_473_600_000;
/** TH32CS_SNAPPROCESS, and sizes and offsets of PROCESSENTRY32W. */
const snapshotProcesses = 0x2;
const entry = { size: 568, pid: 8, parent: 32, name: 44 };
/** Of PROCESS_BASIC_INFORMATION, the PEB and RTL_USER_PROCESS_PARAMETERS. */
const basic = { size: 48, peb: 8, parent: 40 };
const pebParameters = 0x20n;
const parameters = { commandLine: 0x70n, environment: 0x80n, environmentSize: 0x3f0n };
/** Of PROCESS_MEMORY_COUNTERS. */
const memory = { size: 72, workingSet: 16 };
/** An environment is far smaller; a wrong size from another process must not take our memory. */
const environmentBytesMax = 4 * 1024 * 1024;

/** No boot is needed to tell processes apart: see above. */
export const bootId = (): string => "windows";

/** Runs `use` with a handle to the process, or returns undefined when none can be had. */
export function withProcess<T>(pid: number, access: number, use: (process: Handle) => T): T | undefined {
  const system = windows();
  const process = system.OpenProcess(access, 0, pid);
  if (process === 0) return undefined;
  try {
    return use(process);
  } finally {
    system.CloseHandle(process);
  }
}

/** In units of 100 ns. */
export function timesOf(process: Handle): { created: bigint; used: bigint } | undefined {
  const created = Buffer.alloc(8);
  const used = [Buffer.alloc(8), Buffer.alloc(8)] as const;
  if (windows().GetProcessTimes(process, created, Buffer.alloc(8), ...used) === 0) return undefined;
  return { created: created.readBigUInt64LE(0), used: used[0].readBigUInt64LE(0) + used[1].readBigUInt64LE(0) };
}

/** An ended process stays visible while anyone has a handle to it. */
export const hasEnded = (process: Handle): boolean => windows().WaitForSingleObject(process, 0) === 0;

function basicOf(process: Handle): Buffer | undefined {
  const into = Buffer.alloc(basic.size);
  return windows().NtQueryInformationProcess(process, 0, into, basic.size, null) === 0 ? into : undefined;
}

/** One process, or undefined when none has this number or it is not ours to see. */
export function readProcess(pid: number): ProcessInfo | undefined {
  return withProcess(pid, look, (process) => {
    const times = timesOf(process);
    if (times === undefined) return undefined;
    const counters = Buffer.alloc(memory.size);
    const hasMemory = windows().K32GetProcessMemoryInfo(process, counters, memory.size) !== 0;
    return {
      pid,
      bootId: bootId(),
      startTime: String(times.created),
      // A thread waits or runs; of a whole process Windows says only that it has not ended.
      state: hasEnded(process) ? "dead" : "running",
      ppid: Number(basicOf(process)?.readBigUInt64LE(basic.parent) ?? 0n),
      rssBytes: hasMemory ? Number(counters.readBigUInt64LE(memory.workingSet)) : 0,
      cpuMs: Number(times.used / hundredNsPerMs),
    } as const;
  });
}

export function identify(pid: number): ProcessRef | undefined {
  const info = readProcess(pid);
  return isAlive(info) ? { pid, startTime: info.startTime, bootId: bootId() } : undefined;
}

/** Whether this exact process (not its number) is alive. */
export function isSameAlive(ref: ProcessRef): boolean {
  if (ref.bootId !== bootId()) return false;
  const info = readProcess(ref.pid);
  return isAlive(info) && info.startTime === ref.startTime;
}

/** Characters of a path. */
const pathMax = 1024;

function fileOf(pid: number): string | undefined {
  return withProcess(pid, look, (process) => {
    const name = Buffer.alloc(2 * pathMax);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(pathMax, 0);
    if (windows().QueryFullProcessImageNameW(process, 0, name, length) === 0) return undefined;
    return name.toString("utf16le", 0, 2 * length.readUInt32LE(0));
  });
}

/** The system's own part of each console program: a member of its job, and no process that anyone started. */
export function isConsoleHost(pid: number): boolean {
  const own = `${process.env["SystemRoot"] ?? String.raw`C:\Windows`}\\System32\\conhost.exe`;
  return fileOf(pid)?.toLowerCase() === own.toLowerCase();
}

interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
}

/** One look at all processes, in the order of their creation. */
function snapshot(): Listed[] {
  const system = windows();
  const list = system.CreateToolhelp32Snapshot(snapshotProcesses, 0);
  if (list === invalidHandle) return [];
  try {
    const found: Listed[] = [];
    const each = Buffer.alloc(entry.size);
    each.writeUInt32LE(entry.size, 0);
    for (let more = system.Process32FirstW(list, each); more !== 0; more = system.Process32NextW(list, each)) {
      const [name = ""] = each.toString("utf16le", entry.name).split("\0", 1);
      found.push({ pid: each.readUInt32LE(entry.pid), parent: each.readUInt32LE(entry.parent), name });
    }
    return found;
  } finally {
    system.CloseHandle(list);
  }
}

/**
 * Parents are numbers that may be reused: only a process older than its child is its parent. A child whose parent has ended
 * has none.
 */
function descendantsOf(root: number, skip: ReadonlySet<number> = new Set()): ProcessInfo[] {
  const byParent = Map.groupBy(snapshot(), ({ parent }) => parent);
  const found: ProcessInfo[] = [];
  const seen = new Set([root]);
  const queue = [readProcess(root)];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    for (const { pid } of byParent.get(parent.pid) ?? []) {
      if (seen.has(pid) || skip.has(pid)) continue;
      seen.add(pid);
      const info = readProcess(pid);
      if (info === undefined || BigInt(info.startTime) < BigInt(parent.startTime) || isConsoleHost(pid)) continue;
      found.push(info);
      queue.push(info);
    }
  }
  return found;
}

function childrenOf(pid: number): number[] {
  const parent = readProcess(pid);
  if (parent === undefined) return [];
  return snapshot()
    .filter((each) => each.parent === pid)
    .filter((each) => BigInt(readProcess(each.pid)?.startTime ?? 0) >= BigInt(parent.startTime))
    .map((each) => each.pid);
}

function readMemoryOf(process: Handle, address: bigint, size: number): Buffer | undefined {
  const into = Buffer.alloc(size);
  return windows().ReadProcessMemory(process, address, into, size, null) === 0 ? undefined : into;
}

const pointerAt = (process: Handle, address: bigint) => readMemoryOf(process, address, 8)?.readBigUInt64LE(0);

/** The text of a process's own parameters. They lie in its memory, and it can change them. */
function parametersOf<T>(pid: number, read: (process: Handle, at: bigint) => T | undefined): T | undefined {
  return withProcess(pid, look | readMemory, (process) => {
    const peb = basicOf(process)?.readBigUInt64LE(basic.peb) ?? 0n;
    const at = peb === 0n ? 0n : (pointerAt(process, peb + pebParameters) ?? 0n);
    return at === 0n ? undefined : read(process, at);
  });
}

/** As NUL-separated entries; undefined for another user's process. */
function environmentOf(pid: number): string | undefined {
  return parametersOf(pid, (process, at) => {
    const address = pointerAt(process, at + parameters.environment);
    const size = Number(pointerAt(process, at + parameters.environmentSize) ?? 0n);
    if (address === undefined || size === 0 || size > environmentBytesMax) return undefined;
    return readMemoryOf(process, address, size)?.toString("utf16le");
  });
}

function commandLineOf(pid: number): string | undefined {
  return parametersOf(pid, (process, at) => {
    const text = readMemoryOf(process, at + parameters.commandLine, 16);
    if (text === undefined) return undefined;
    return readMemoryOf(process, text.readBigUInt64LE(8), text.readUInt16LE(0))?.toString("utf16le");
  });
}

/** Command line for people, or the name of its file in brackets. */
function commandOf(pid: number): string {
  const line = commandLineOf(pid);
  if (line !== undefined && line !== "") return line;
  return `[${snapshot().find((each) => each.pid === pid)?.name ?? "?"}]`;
}

export const processes: ProcessTable = {
  read: readProcess,
  pids: () => snapshot().map(({ pid }) => pid),
  children: childrenOf,
  descendants: descendantsOf,
  command: commandOf,
  startedAt: ({ startTime }) => Number(BigInt(startTime) / hundredNsPerMs) - windowsToUnixMs,
  environment: environmentOf,
};
