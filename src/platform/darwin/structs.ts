/**
 * What the kernel of macOS writes about processes, decoded from its bytes. Offsets are those of the 64-bit layout, which arm64
 * and x64 share and which xnu-8019 (macOS 12) to xnu-11417 (macOS 15) have in common. Anything shorter than its structure, or
 * at odds with its own lengths, is undefined.
 */
import type { ProcessState } from "../types.ts";
import type { XnuArguments } from "./xnu.ts";

/** Sizes in bytes, as in the `_SIZE` macros of bsd/sys/proc_info.h and proc_info_private.h. */
export const structBytes = {
  bsdInfo: 136,
  taskInfo: 96,
  uniqueIdentifierInfo: 56,
  bsdInfoWithUniqueId: 136 + 56,
  coalitionInfo: 40,
  /** Only `tasks_started` and `tasks_exited`: sys_coalition.c copies out as much as is asked for. */
  coalitionUsage: 16,
  /** struct kinfo_proc of bsd/sys/sysctl.h. */
  kinfoProc: 648,
  timebase: 8,
} as const;

/** PROC_FLAG_TRACED of bsd/sys/proc_info.h; P_TRACED of bsd/sys/proc.h. */
const flagTraced = 0x2;
const kinfoTraced = 0x800;
/** P_CONTROLT: it has a controlling terminal. PROC_FLAG_CONTROLT is its twin. */
const kinfoTerminal = 0x2;
/** NODEV. */
const noDevice = -1;

/** By `p_stat`: SIDL, SRUN, SSLEEP, SSTOP and SZOMB of bsd/sys/proc.h. */
const states: readonly ProcessState[] = ["unknown", "running", "running", "sleeping", "stopped", "zombie"];

function stateOf(status: number, isTraced: boolean): ProcessState {
  const state = states[status] ?? "unknown";
  return state === "stopped" && isTraced ? "traced" : state;
}

/** Both structures that describe a process show these. */
export interface ProcessFields {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  /** Effective. */
  readonly uid: number;
  /** "running" means runnable: threads that wait are known to the task only. */
  readonly state: ProcessState;
  readonly isTraced: boolean;
  /** It belongs to the foreground process group of its terminal. */
  readonly isInForeground: boolean;
  readonly startedAtUs: bigint;
  /** The kernel's name, at most 16 bytes. */
  readonly name: string;
}

const microseconds = 1_000_000n;

function textAt(bytes: Buffer, at: number, length: number): string {
  const end = bytes.subarray(at, at + length).indexOf(0);
  return bytes.toString("utf8", at, end === -1 ? at + length : at + end);
}

/** struct proc_bsdinfo (bsd/sys/proc_info.h), as proc_pidbsdinfo of bsd/kern/proc_info.c fills it. */
export function decodeBsdInfo(bytes: Buffer): ProcessFields | undefined {
  if (bytes.length < structBytes.bsdInfo) return undefined;
  const isTraced = (bytes.readUInt32LE(0) & flagTraced) !== 0; // pbi_flags
  const group = bytes.readUInt32LE(100); // pbi_pgid
  const hasTerminal = bytes.readInt32LE(108) !== noDevice; // e_tdev
  return {
    pid: bytes.readInt32LE(12),
    ppid: bytes.readInt32LE(16),
    uid: bytes.readUInt32LE(20),
    group,
    state: stateOf(bytes.readUInt32LE(4), isTraced), // pbi_status
    isTraced,
    isInForeground: hasTerminal && group !== 0 && group === bytes.readUInt32LE(112), // e_tpgid
    startedAtUs: bytes.readBigUInt64LE(120) * microseconds + bytes.readBigUInt64LE(128),
    name: textAt(bytes, 48, 16),
  };
}

export interface KinfoFields extends ProcessFields {
  /** `p_sigignore`: bit n-1 for signal n. */
  readonly ignoredSignals: number;
}

/** struct kinfo_proc (bsd/sys/sysctl.h), as fill_user64_proc of bsd/kern/kern_sysctl.c fills it for every user's processes. */
export function decodeKinfoProc(bytes: Buffer): KinfoFields | undefined {
  if (bytes.length < structBytes.kinfoProc) return undefined;
  const flags = bytes.readUInt32LE(32); // kp_proc.p_flag
  const isTraced = (flags & kinfoTraced) !== 0;
  const group = bytes.readInt32LE(564); // kp_eproc.e_pgid
  return {
    pid: bytes.readInt32LE(40),
    ppid: bytes.readInt32LE(560), // kp_eproc.e_ppid
    uid: bytes.readUInt32LE(420), // kp_eproc.e_ucred.cr_uid
    group,
    state: stateOf(bytes.readUInt8(36), isTraced), // kp_proc.p_stat
    isTraced,
    isInForeground: (flags & kinfoTerminal) !== 0 && group !== 0 && group === bytes.readInt32LE(576), // e_tpgid
    startedAtUs: bytes.readBigInt64LE(0) * microseconds + BigInt(bytes.readInt32LE(8)), // p_starttime
    name: textAt(bytes, 243, 17), // p_comm[MAXCOMLEN + 1]
    ignoredSignals: bytes.readUInt32LE(232),
  };
}

export interface TaskFields {
  readonly rssBytes: number;
  /** User and system time, in the unit of mach_absolute_time (fill_taskprocinfo, osfmk/kern/bsd_kern.c). */
  readonly cpuTicks: bigint;
  readonly runningThreads: number;
}

/** struct proc_taskinfo. */
export function decodeTaskInfo(bytes: Buffer): TaskFields | undefined {
  if (bytes.length < structBytes.taskInfo) return undefined;
  return {
    rssBytes: Number(bytes.readBigUInt64LE(8)), // pti_resident_size
    cpuTicks: bytes.readBigUInt64LE(16) + bytes.readBigUInt64LE(24), // pti_total_user, pti_total_system
    runningThreads: bytes.readInt32LE(88), // pti_numrunning
  };
}

export interface UniqueFields {
  readonly uniqueId: bigint;
  readonly parentUniqueId: bigint;
  readonly pidVersion: number;
}

/** struct proc_uniqidentifierinfo (bsd/sys/proc_info_private.h), shown for every user's processes. */
export function decodeUniqueIdentifierInfo(bytes: Buffer): UniqueFields | undefined {
  if (bytes.length < structBytes.uniqueIdentifierInfo) return undefined;
  return {
    uniqueId: bytes.readBigUInt64LE(16),
    parentUniqueId: bytes.readBigUInt64LE(24),
    pidVersion: bytes.readInt32LE(32),
  };
}

/** struct proc_pidcoalitioninfo: `coalition_id[COALITION_TYPE_RESOURCE]`. 0 is no coalition. */
export function decodeCoalition(bytes: Buffer): bigint | undefined {
  if (bytes.length < structBytes.coalitionInfo) return undefined;
  const id = bytes.readBigUInt64LE(0);
  return id === 0n ? undefined : id;
}

/** The first fields of struct coalition_resource_usage (osfmk/mach/coalition.h). */
export function decodeCoalitionUsage(bytes: Buffer): { started: bigint; exited: bigint } | undefined {
  if (bytes.length < structBytes.coalitionUsage) return undefined;
  return { started: bytes.readBigUInt64LE(0), exited: bytes.readBigUInt64LE(8) };
}

/** struct mach_timebase_info (osfmk/mach/mach_time.h): a tick is numer/denom nanoseconds, 125/3 on Apple silicon. */
export function decodeTimebase(bytes: Buffer): { numer: number; denom: number } | undefined {
  if (bytes.length < structBytes.timebase) return undefined;
  const [numer, denom] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
  return numer === 0 || denom === 0 ? undefined : { numer, denom };
}

/** Of the strings that the kernel adds behind the environment (exec_add_apple_strings, bsd/kern/kern_exec.c), one that is always there. */
const kernelString = "ptr_munge=";
/** Those that stand before it, when they are there. */
const earlierKernelStrings = /^(?:pfz=|MallocNanoZone=1$|stack_guard=|malloc_entropy=)/;

function withoutKernelStrings(strings: readonly string[]): readonly string[] {
  // The last one: a variable of the same name stands before it.
  let end = strings.findLastIndex((each) => each.startsWith(kernelString));
  if (end === -1) return strings;
  while (end > 0 && earlierKernelStrings.test(strings[end - 1] ?? "")) end -= 1;
  return strings.slice(0, end);
}

/** KERN_PROCARGS2 keeps the strings of an exec as they lie in the process: the path is padded to a pointer. */
const pointerBytes = 8;

/**
 * KERN_PROCARGS2 (sysctl_procargsx, bsd/kern/kern_sysctl.c): argc, the path of the program padded with NUL (exec_extract_strings,
 * bsd/kern/kern_exec.c), the arguments, the environment and the kernel's own strings. The process can overwrite all but argc.
 */
export function decodeArguments(bytes: Buffer): XnuArguments | undefined {
  if (bytes.length < 4) return undefined;
  const argc = bytes.readInt32LE(0);
  const strings = bytes.subarray(4);
  const pathEnd = strings.indexOf(0);
  if (argc < 0 || pathEnd === -1) return undefined;
  let at = Math.ceil((pathEnd + 1) / pointerBytes) * pointerBytes;
  const next = (): string | undefined => {
    if (at >= strings.length) return undefined;
    const found = strings.indexOf(0, at);
    const end = found === -1 ? strings.length : found;
    const text = strings.toString("utf8", at, end);
    at = end + 1;
    return text;
  };
  const argv: string[] = [];
  while (argv.length < argc) {
    const argument = next();
    if (argument === undefined) break;
    argv.push(argument);
  }
  const rest: string[] = [];
  // Empty strings are padding, or empty entries, which mean nothing.
  for (let text = next(); text !== undefined; text = next()) if (text !== "") rest.push(text);
  return { argv, environment: withoutKernelStrings(rest) };
}
