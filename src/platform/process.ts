/** Processes as every platform shows them. */

/** A process by more than its number: never a successor that was given the same pid. The ledger keeps all three. */
export interface ProcessRef {
  readonly pid: number;
  /** When it started, in the platform's own unit, which only the platform interprets. */
  readonly startTime: string;
  /** The boot that pid and start time belong to. */
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

/** As `ps` and the API show it; the only place where the letters of Unix are known. */
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

/** Whether a process can still do anything: a zombie cannot. */
export function isAlive<T extends ProcessInfo>(info: T | undefined): info is T {
  return info !== undefined && info.state !== "zombie" && info.state !== "dead";
}

/** One look at the process table. */
export interface ProcessTable {
  /** Undefined when no process has this number. */
  readonly read: (pid: number) => ProcessInfo | undefined;
  readonly pids: () => number[];
  /** Zombies included. */
  readonly children: (pid: number) => number[];
  /** Everything below a process, itself not included, parents before children; `skip` prunes whole branches. */
  readonly descendants: (pid: number, skip?: ReadonlySet<number>) => ProcessInfo[];
  /** Command line for people. */
  readonly command: (pid: number) => string;
  /** In milliseconds since 1970. */
  readonly startedAt: (ref: Pick<ProcessRef, "startTime">) => number;
  /** The environment a process started with, as NUL-separated entries; undefined when it may not be read. */
  readonly environment: (pid: number) => string | undefined;
}

/** What a container can be asked politely. Which signal or event that is, the platform knows. */
export type PoliteRequest = "interrupt" | "terminate" | "hangup";

/** How a main process ended; its descendants may live on. At most one of the two is set. */
export interface MainExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}
