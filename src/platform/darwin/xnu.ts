/**
 * What the code for macOS asks the kernel, as decoded data. `libproc.ts` asks the real one; the simulated kernel and the tests
 * on Linux give the same answers. Names of calls and fields are those of Apple's headers.
 */
import type { ProcessState } from "../types.ts";

/** A process as `proc_pidinfo` describes it (PROC_PIDTBSDINFO, PROC_PIDTASKINFO and PROC_PIDUNIQIDENTIFIERINFO). */
export interface XnuProcess {
  readonly pid: number;
  /** 1 after the parent's end: no subreaper exists. */
  readonly ppid: number;
  /** `p_uniqueid`: never used again in this boot, and kept over exec. */
  readonly uniqueId: bigint;
  /** `p_puniqueid`: of the process that forked it. Survives reparenting, but an exec sets it to that of the parent at that time. */
  readonly parentUniqueId: bigint;
  /** `p_idversion`: changes with each fork and exec; with the pid it is what an audit token names. */
  readonly pidVersion: number;
  readonly group: number;
  readonly uid: number;
  readonly state: ProcessState;
  /** `pbi_start_tvsec` and `pbi_start_tvusec`, in microseconds since 1970. */
  readonly startedAtUs: bigint;
  /** 0 for a process of another user, whose task is not shown. */
  readonly rssBytes: number;
  /** User and system time of all its threads, in milliseconds. 0 as above. */
  readonly cpuMs: number;
}

/** KERN_PROCARGS2. */
export interface XnuArguments {
  readonly argv: readonly string[];
  /** Entries `NAME=value`. Empty where the kernel withholds them: for restricted programs, such as those of the system. */
  readonly environment: readonly string[];
}

export interface Xnu {
  /** `proc_listallpids`. Zombies are listed, too (proc_listpids walks `zombproc` last). */
  pids(): number[];
  /** Undefined for an unused number. */
  process(pid: number): XnuProcess | undefined;
  /** `getsid`: the session's id; 0 when there is none to see. */
  session(pid: number): number;
  /** Undefined for a process of another user, and for one that has ended. */
  arguments(pid: number): XnuArguments | undefined;
  /**
   * Signals this exact process. False: it is gone, was replaced, or may not be signalled. By `proc_signal_with_audittoken` where
   * the system has it; else by `kill` right after a look at the unique id, which leaves a window of microseconds.
   */
  signal(target: Pick<XnuProcess, "pid" | "uniqueId" | "pidVersion">, signal: NodeJS.Signals): boolean;
  /** Whether `signal` leaves no window: the system has `proc_signal_with_audittoken`. */
  readonly signalsExactly: boolean;
  /** PROC_PIDCOALITIONINFO: the resource coalition; undefined where it is not shown. */
  coalition(pid: number): bigint | undefined;
  /**
   * `coalition_info_resource_usage`: tasks started and exited; undefined for a coalition that is gone or not shown. It is empty
   * when both are equal.
   */
  coalitionTasks(coalition: bigint): { readonly started: bigint; readonly exited: bigint } | undefined;
  /** `kern.bootsessionuuid`. */
  bootSession(): string;
}

/** The ends that a descriptor was opened for: FREAD and FWRITE. */
export interface XnuEnds {
  readonly reads: boolean;
  readonly writes: boolean;
}

/** One end of a pipe, which is a kernel object of its own. */
export interface XnuPipe {
  /** `pipe_handle`: names this end while it exists. */
  readonly handle: bigint;
  /** `pipe_peerhandle`: the other end; 0 once it is closed everywhere (pipeclose in bsd/kern/sys_pipe.c). */
  readonly peer: bigint;
  /** PIPE_EOF. */
  readonly isAtEnd: boolean;
}

interface XnuSocketCommon {
  /** `soi_so`: names the socket while it exists. */
  readonly handle: bigint;
  readonly isStream: boolean;
  readonly isListening: boolean;
  /** Disconnected, and both directions are shut, as unp_disconnect leaves the survivor. */
  readonly isShut: boolean;
}

export type XnuSocket =
  | (XnuSocketCommon & {
      readonly kind: "unix";
      /** `unsi_conn_so`: the socket at the other end; 0 when there is none. */
      readonly peer: bigint;
      readonly hasName: boolean;
      readonly peerHasName: boolean;
    })
  | (XnuSocketCommon & {
      readonly kind: "tcp";
      readonly state: string;
      readonly local: string;
      readonly localPort: number;
      readonly remote: string;
      readonly remotePort: number;
    })
  | (XnuSocketCommon & { readonly kind: "other" });

/** A descriptor as `proc_pidfdinfo` describes it. */
export type XnuDescriptor =
  | ({ readonly number: number; readonly kind: "pipe" } & XnuPipe & XnuEnds)
  | { readonly number: number; readonly kind: "socket"; readonly socket: XnuSocket }
  /** A path in the file system; devices and named pipes are among them. */
  | { readonly number: number; readonly kind: "file"; readonly path: string }
  | { readonly number: number; readonly kind: "other" };

/** What `doctor` asks besides, of struct kinfo_proc (KERN_PROC_PID), which shows every user's processes. */
export interface XnuBearing {
  /** The kernel's name, at most 16 bytes. */
  readonly name: string;
  readonly isTraced: boolean;
  readonly isInForeground: boolean;
  /** `p_sigignore`: bit n-1 for signal n. */
  readonly ignoredSignals: number;
}

export interface InspectedXnu extends Xnu {
  bearing(pid: number): XnuBearing | undefined;
  /** PROC_PIDLISTFDS. `denied`: another user's process, or a sandbox; `gone`: it has ended. What was closed during the look is left out. */
  descriptors(pid: number): readonly XnuDescriptor[] | "denied" | "gone";
}
