/** Asks the kernel of macOS through libproc and sysctl. A failed or short answer is undefined, never an exception. */
import { constants } from "node:os";
import { xnuCalls, type XnuCalls } from "./calls.ts";
import { descriptorsOf } from "./descriptors.ts";
import {
  decodeArguments,
  decodeBsdInfo,
  decodeCoalition,
  decodeCoalitionUsage,
  decodeKinfoProc,
  decodeTaskInfo,
  decodeTimebase,
  decodeUniqueIdentifierInfo,
  structBytes,
  type KinfoFields,
  type ProcessFields,
  type UniqueFields,
} from "./structs.ts";
import type { InspectedXnu, XnuArguments, XnuProcess } from "./xnu.ts";

/** Flavors of proc_pidinfo, from bsd/sys/proc_info.h and proc_info_private.h. */
const flavor = { taskInfo: 4, uniqueIdentifierInfo: 17, bsdInfoWithUniqueId: 18, coalitionInfo: 20 };
/** As `arg` of the flavors that describe a process: a zombie counts (proc_pidinfo in bsd/kern/proc_info.c). */
const zombiesToo = 1;
/** From bsd/sys/sysctl.h. */
const control = { kernel: 1, argumentsMax: 8, process: 14, byPid: 1, arguments: 49 };
/** NCARGS of bsd/sys/syslimits.h; more is refused. */
const argumentBytesMax = 1024 * 1024;
/** The kernel leaves room for this many new processes between its count and its list (proc_listpids). */
const looksMax = 8;
/** A process that execs gets a new version: so often is the current one looked up for a signal. */
const signalTriesMax = 8;
/** audit_token_t: eight words, of which these count (psignal_by_audit_token). */
const token = { bytes: 32, pid: 5 * 4, version: 7 * 4 };
const noSuchProcess = constants.errno.ESRCH;

class Libproc implements InspectedXnu {
  readonly #calls: XnuCalls;
  readonly #timebase: { numer: number; denom: number };
  #argumentBuffer: Buffer | undefined;

  constructor(calls: XnuCalls) {
    this.#calls = calls;
    const bytes = Buffer.alloc(structBytes.timebase);
    const isKnown = calls.mach_timebase_info(bytes) === 0;
    this.#timebase = (isKnown ? decodeTimebase(bytes) : undefined) ?? { numer: 1, denom: 1 };
  }

  pids(): number[] {
    let found: number[] = [];
    for (let look = 0; look < looksMax; look += 1) {
      const room = this.#calls.proc_listallpids(null, 0);
      if (room <= 0) return found;
      const bytes = Buffer.alloc(room * 2 * 4);
      const count = Math.min(this.#calls.proc_listallpids(bytes, bytes.length), room * 2);
      found = [];
      for (let at = 0; at < count; at += 1) {
        const pid = bytes.readInt32LE(at * 4);
        if (pid > 0) found.push(pid); // 0 is the kernel
      }
      if (count < room) break; // otherwise the list may be cut: too many were born meanwhile
    }
    return found;
  }

  process(pid: number): XnuProcess | undefined {
    const found = this.#fields(pid);
    if (found === undefined) return undefined;
    const { fields, unique } = found;
    const task = decodeTaskInfo(this.#ask(pid, flavor.taskInfo, structBytes.taskInfo));
    const { numer, denom } = this.#timebase;
    const cpuNs = task === undefined ? 0n : (task.cpuTicks * BigInt(numer)) / BigInt(denom);
    return {
      pid,
      ppid: fields.ppid,
      ...unique,
      group: fields.group,
      uid: fields.uid,
      state: fields.state === "running" && task?.runningThreads === 0 ? "sleeping" : fields.state,
      startedAtUs: fields.startedAtUs,
      rssBytes: task?.rssBytes ?? 0,
      cpuMs: Number(cpuNs / 1_000_000n),
    };
  }

  /** Own processes in one call; others in three, of which the first and the last must agree that it is the same one. */
  #fields(pid: number): { fields: ProcessFields; unique: UniqueFields } | undefined {
    const both = this.#ask(pid, flavor.bsdInfoWithUniqueId, structBytes.bsdInfoWithUniqueId, zombiesToo);
    const own = decodeBsdInfo(both);
    const ownUnique = decodeUniqueIdentifierInfo(both.subarray(structBytes.bsdInfo));
    if (own !== undefined && ownUnique !== undefined) return { fields: own, unique: ownUnique };
    const unique = this.#unique(pid);
    const fields = this.#kinfo(pid);
    if (unique === undefined || fields === undefined) return undefined;
    return this.#unique(pid)?.uniqueId === unique.uniqueId ? { fields, unique } : undefined;
  }

  #unique(pid: number): UniqueFields | undefined {
    return decodeUniqueIdentifierInfo(
      this.#ask(pid, flavor.uniqueIdentifierInfo, structBytes.uniqueIdentifierInfo, zombiesToo),
    );
  }

  /** Empty unless the answer has its full size. */
  #ask(pid: number, what: number, size: number, arg = 0): Buffer {
    const bytes = Buffer.alloc(size);
    return this.#calls.proc_pidinfo(pid, what, arg, bytes, size) === size ? bytes : bytes.subarray(0, 0);
  }

  #kinfo(pid: number): KinfoFields | undefined {
    const bytes = this.#control(Buffer.alloc(structBytes.kinfoProc), [
      control.kernel,
      control.process,
      control.byPid,
      pid,
    ]);
    // Without such a process the answer is a success without bytes.
    return bytes === undefined ? undefined : decodeKinfoProc(bytes);
  }

  bearing(pid: number): KinfoFields | undefined {
    return this.#kinfo(pid);
  }

  /** What sysctl wrote, up to the length that it gave. */
  #control(into: Buffer, names: readonly number[]): Buffer | undefined {
    const name = Buffer.alloc(names.length * 4);
    for (const [at, value] of names.entries()) name.writeInt32LE(value, at * 4);
    const length = sizeOf(into);
    if (this.#calls.sysctl(name, names.length, into, length) !== 0) return undefined;
    return into.subarray(0, Number(length.readBigUInt64LE(0)));
  }

  session(pid: number): number {
    return Math.max(this.#calls.getsid(pid), 0);
  }

  arguments(pid: number): XnuArguments | undefined {
    // Too small a buffer gets the end of the strings instead of their beginning.
    this.#argumentBuffer ??= Buffer.alloc(this.#argumentBytes());
    const bytes = this.#control(this.#argumentBuffer, [control.kernel, control.arguments, pid]);
    return bytes === undefined ? undefined : decodeArguments(bytes);
  }

  #argumentBytes(): number {
    const answer = this.#control(Buffer.alloc(4), [control.kernel, control.argumentsMax]);
    const asked = answer?.length === 4 ? answer.readInt32LE(0) : argumentBytesMax;
    return Math.min(Math.max(asked, 4096), argumentBytesMax);
  }

  get signalsExactly(): boolean {
    return this.#calls.proc_signal_with_audittoken !== undefined;
  }

  signal(target: Pick<XnuProcess, "pid" | "uniqueId" | "pidVersion">, signal: NodeJS.Signals): boolean {
    const number = constants.signals[signal];
    if (target.pid <= 0) return false; // a group, or everything
    for (let attempt = 0; attempt < signalTriesMax; attempt += 1) {
      const now = this.#unique(target.pid);
      if (now === undefined || now.uniqueId !== target.uniqueId) return false;
      const exact = this.#calls.proc_signal_with_audittoken;
      // macOS 12 and 13: a process that ends, and whose number is used again, between these two calls is mistaken.
      if (exact === undefined) return this.#calls.kill(target.pid, number) === 0;
      const bytes = Buffer.alloc(token.bytes);
      bytes.writeInt32LE(target.pid, token.pid);
      bytes.writeInt32LE(now.pidVersion, token.version);
      const error = exact(bytes, number);
      if (error !== noSuchProcess) return error === 0;
    }
    return false;
  }

  coalition(pid: number): bigint | undefined {
    return decodeCoalition(this.#ask(pid, flavor.coalitionInfo, structBytes.coalitionInfo));
  }

  coalitionTasks(coalition: bigint): { readonly started: bigint; readonly exited: bigint } | undefined {
    const bytes = Buffer.alloc(structBytes.coalitionUsage);
    const result = this.#calls.coalition_info_resource_usage(coalition, bytes, bytes.length);
    return result === 0 ? decodeCoalitionUsage(bytes) : undefined;
  }

  bootSession(): string {
    const bytes = Buffer.alloc(64);
    const length = sizeOf(bytes);
    if (this.#calls.sysctlbyname("kern.bootsessionuuid", bytes, length) !== 0) return "";
    return bytes.toString("latin1", 0, Math.max(bytes.indexOf(0), 0));
  }

  descriptors(pid: number): ReturnType<InspectedXnu["descriptors"]> {
    return descriptorsOf(this.#calls, pid, {
      maySee: () => this.#ask(pid, flavor.bsdInfoWithUniqueId, structBytes.bsdInfoWithUniqueId).length > 0,
      isThere: () => this.#ask(pid, flavor.uniqueIdentifierInfo, structBytes.uniqueIdentifierInfo).length > 0,
    });
  }
}

/** A size_t. */
function sizeOf(buffer: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(buffer.length), 0);
  return length;
}

/** Over other calls than the system's: for tests. */
export function libprocOver(calls: XnuCalls): InspectedXnu {
  return new Libproc(calls);
}

/** Throws `unsupported_platform` where libproc cannot be loaded. */
export function openLibproc(): InspectedXnu {
  return new Libproc(xnuCalls());
}
