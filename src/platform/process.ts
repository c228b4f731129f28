/** Processes as every platform shows them. */

/** A process by more than its number, which may be reused. The ledger keeps all three fields. */
export interface ProcessRef {
  readonly pid: number;
  /** When it started, in the platform's own unit, opaque to others. */
  readonly startTime: string;
  /** The boot of pid and start time. */
  readonly bootId: string;
}

/** `headless`: the main thread has ended, other threads live. */
export type ProcessState =
  | "running"
  | "sleeping"
  | "uninterruptible"
  | "stopped"
  | "traced"
  | "idle"
  | "headless"
  | "zombie"
  | "dead"
  | "unknown";

/** The state for `ps` and the API; the only place that knows the Unix letters. */
export const stateLetters: Record<ProcessState, string> = {
  running: "R",
  sleeping: "S",
  uninterruptible: "D",
  stopped: "T",
  traced: "t",
  idle: "I",
  headless: "Z",
  zombie: "Z",
  dead: "X",
  unknown: "?",
};

/** A row of the process table. */
export interface ProcessInfo extends ProcessRef {
  readonly ppid: number;
  readonly state: ProcessState;
  readonly rssBytes: number;
  /** Processor time of all its threads so far, in milliseconds. */
  readonly cpuMs: number;
}

/** Whether a process can still act: a zombie cannot. */
export function isAlive<T extends ProcessInfo>(info: T | undefined): info is T {
  return info !== undefined && info.state !== "zombie" && info.state !== "dead";
}

/** One look at the process table. */
export interface ProcessTable {
  /** Undefined for an unused number. */
  readonly read: (pid: number) => ProcessInfo | undefined;
  readonly pids: () => number[];
  /** Zombies included. */
  readonly children: (pid: number) => number[];
  /** All descendants of a process, parents before children; `skip` prunes whole branches. */
  readonly descendants: (pid: number, skip?: ReadonlySet<number>) => ProcessInfo[];
  /** Command line for people. */
  readonly command: (pid: number) => string;
  /** In milliseconds since 1970. */
  readonly startedAt: (ref: Pick<ProcessRef, "startTime">) => number;
  /** The initial environment of a process, as NUL-separated entries; undefined when access is denied. */
  readonly environment: (pid: number) => string | undefined;
}

/** Polite requests to a container. The platform maps them to signals or events. */
export type PoliteRequest = "interrupt" | "terminate" | "hangup";

/** How a main process ended; its descendants may live on. At most one of the two is set. */
export interface MainExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}
