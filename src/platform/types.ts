/**
 * The platform boundary: everything the rest of Holdfast may know about an operating system, implemented by `linux/` and
 * `simulated/`. Results are data; messages are composed where people read them.
 */
import type { Readable, Writable } from "node:stream";
import type { Attempt, FrontLink, FrontRequest, Helper, Watchdog } from "./helper.ts";
import type { Look } from "./look.ts";
import type { MainExit, PoliteRequest, ProcessInfo, ProcessRef, ProcessState, ProcessTable } from "./process.ts";

export * from "./helper.ts";
export * from "./process.ts";

type StreamKind = "pipe" | "inherit" | "ignore";

/** Whole `NAME=value` entries keep their order, duplicates and odd names. */
export type Environment = Readonly<Record<string, string>> | readonly Uint8Array[];

export interface SpawnRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
  /** The whole environment; the container adds its marker. */
  readonly env: Environment;
  /** A pipe by default. */
  readonly stdin?: StreamKind;
  readonly stdout?: StreamKind;
  readonly stderr?: StreamKind;
  /** Becomes all three streams and the controlling terminal. */
  readonly terminal?: TerminalEnd | undefined;
}

/** The started command. A stream that is not a pipe is null. */
export interface Spawned {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** The started process: the command, or the helper in front of it. It leads its own process group. */
  readonly ref: ProcessRef;
  /** Pid of the command itself; undefined until it is born, after which it stays the same. */
  mainPid(): number | undefined;
  /** Never rejects. */
  readonly exit: Promise<MainExit>;
}

export interface TreeLimits {
  /** Concurrent live processes, including the command. */
  processesMax?: number | undefined;
  /** Resident memory of all processes together, in bytes; shared pages count for each. */
  memoryBytesMax?: number | undefined;
}

/** An exceeded limit. */
export interface Excess {
  readonly limit: keyof TreeLimits;
  /** The actual value; undefined when the kernel prevented it. */
  readonly seen?: number | undefined;
  /** The limit of the kernel or the polling, in the limit's unit; the kernel counts threads instead of processes. */
  readonly allowed: number;
}

/** The operating system's fence around one run. */
export interface Container {
  readonly runId: string;
  /** Its name in the ledger, known before the spawn. */
  readonly name: string;
  /** Lets the kernel enforce these limits, where it can. Before `spawn`. */
  holdLimits?(limits: TreeLimits): void;
  /** The limit enforced by the kernel, if any. */
  excess?(): Excess | undefined;
  /** Starts the command inside, at most once. Rejects with `spawn_failed` when the operating system refuses. */
  spawn(request: SpawnRequest): Promise<Spawned>;
  /** Live processes of the run, without Holdfast's own helpers. */
  list(): ProcessInfo[];
  /** Whether the kernel sees the run as empty. Cheap; `end` gives the full proof. */
  looksEmpty(): boolean;
  /** Asks every process. False: none could be asked. */
  ask(request: PoliteRequest): boolean;
  /** Sends a signal, if the platform has it. False: nothing was signalled. */
  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean;
  /**
   * Kills until empty, proves it and removes the fence. Resolves with the survivors: an empty list is the proof. Never rejects.
   * A call during another joins it; a later one looks again.
   */
  end(boundMs: number): Promise<ProcessInfo[]>;
  /** Of a fence on another machine: the connection is gone, so the run may live on unseen. */
  readonly lost?: boolean;
  /** Of a fence on another machine: the connection has not answered since this time; null while it answers. */
  readonly silentSince?: number | null;
  /** Set after an `end` without proof: resolves once the run is finally proven empty. */
  readonly owed?: Promise<void> | undefined;
}

/** A process left by an earlier epoch. */
export interface LeftProcess extends ProcessRef {
  /** Its run; null for others, such as a front. */
  readonly run: string | null;
  /** At the last look. */
  readonly state: ProcessState;
  readonly command: string;
}

export interface Swept {
  /** Proven gone. */
  readonly ended: readonly LeftProcess[];
  /** Still alive after the bound. */
  readonly left: readonly LeftProcess[];
}

export type TierName = "cgroup" | "subreaper" | "job" | "coalition" | "chain";

/** One keeper life on this machine. */
export interface Epoch {
  readonly tier: TierName;
  /** How a container is proven empty: by the kernel's own count, or by repeated scans. */
  readonly proof: "kernel" | "scan";
  /** A run id begins with `runIdPrefix(epoch)`. */
  create(runId: string): Container;
  /** Starts the process that ends this epoch's runs when the keeper dies. */
  watchdog(): Watchdog;
  /** Ends everything of the owner's earlier epochs, anywhere. Never rejects; a further call looks again. */
  sweepEarlier(boundMs: number): Promise<Swept>;
  /** Ends this epoch's processes of runs not claimed by `isHeld`. Never rejects; a further call looks again. */
  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept>;
  /** Removes the epoch's own fence at an orderly end. */
  close(): void;
}

/** The reason against a better tier here. */
export interface RefusedTier {
  readonly tier: TierName;
  readonly reason: string;
}

/** The reason why a tier is unavailable on this machine. */
export type TierObstacle =
  | { readonly kind: "old-kernel"; readonly release: string; readonly lacks: string; readonly needs: string }
  | { readonly kind: "processor"; readonly arch: string }
  | { readonly kind: "no-cgroup"; readonly reason: string; readonly isMounted: boolean }
  /** Nothing tells of processes. */
  | { readonly kind: "blind"; readonly reason: string }
  /** Read-only even for root. */
  | { readonly kind: "read-only"; readonly directory: string }
  | { readonly kind: "not-ours"; readonly directory: string; readonly hasUserManager: boolean };

export interface TierFinding {
  readonly tier: TierName;
  /** Undefined: the tier is available. */
  readonly obstacle: TierObstacle | undefined;
}

export interface Opened {
  readonly epoch: Epoch;
  readonly refused: readonly RefusedTier[];
}

export interface OpenOptions {
  /** Directory for helper programs. */
  readonly directory: string;
  /** Requires this tier: tests and comparisons. */
  readonly only?: TierName | undefined;
}

export interface TerminalSize {
  /** Characters per line. */
  readonly columns: number;
  readonly rows: number;
}

/** The command's end of a terminal, opaque outside the platform. */
interface TerminalEnd {
  readonly descriptor: number;
}

/** A terminal as its owner sees it. */
export interface Terminal {
  /** The output. Closes when the command's end is closed everywhere. */
  readonly output: Readable;
  readonly end: TerminalEnd;
  /** Types what fits without waiting; returns the number of bytes. Never throws: a closed terminal accepts everything. */
  write(bytes: Uint8Array): number;
  resize(size: TerminalSize): void;
  /** Closes our copy of the command's end, once the command has it. */
  release(): void;
  close(): void;
}

/** The most that a user may do with a file. */
export type Access = "none" | "read" | "write";

/** `group`: users of the file's Unix group count as well; on Windows every other user counts always. */
export interface Others {
  readonly group: boolean;
}

/** Resource use of this process. */
export interface OwnUsage {
  readonly descriptors: number;
  /** Infinity: unlimited. */
  readonly descriptorsMax: number;
}

/** Descriptors held in reserve for when the limit is reached. */
export interface SpareDescriptors extends Disposable {
  /** Holds this many from now on, as far as available. */
  hold(count: number): void;
  readonly held: number;
  /** Releases them while `use` runs, then takes back as many as possible. */
  lend<T>(use: () => T): T;
  /** Result of `look`; on reaching the open file limit, retried with the spare descriptors released. */
  look<T>(look: () => T): T;
}

/** Whether this process has a controlling terminal and is in its foreground. */
export type OwnTerminal = "none" | "background" | "foreground";

/** The machine as reports name it. */
export interface Machine {
  /** The operating system, with its version. */
  readonly system: string;
  /** What stands in for the real system, such as WSL2 or wine; undefined on most machines. */
  readonly under: string | undefined;
  /** Whether systemd runs it; undefined on systems that never have it. */
  readonly hasSystemd: boolean | undefined;
  /** Undefined where it is not known. */
  readonly isRoot: boolean | undefined;
}

/** For the self-test. */
export interface Witness {
  readonly machine: () => Machine;
  /** The programs in which trees hide here: shell scripts that read /proc, or programs for Node.js. */
  readonly trees: "shell" | "windows" | "macos";
  /** From the system itself, independent of the code under test. */
  readonly isLive: (ref: Pick<ProcessRef, "pid" | "startTime">) => boolean;
  /** A program that makes itself a subreaper and becomes its arguments, stored in this directory. */
  reaperProgram(directory: string): string;
  /** Ends everything with a marker of this owner. */
  endOwner(owner: string, boundMs: number): Promise<Swept>;
}

export interface Platform {
  /** Opens one life of `owner` on the best available tier. Throws `unsupported_platform`. */
  readonly open: (owner: string, epoch: number, options: OpenOptions) => Opened;
  /** A fence for one tree that must not outlive this process; needs neither keeper nor rights. */
  contain(owner: string, runId: string): Container;
  /** The live process of this number. */
  identify(pid: number): ProcessRef | undefined;
  /** Whether this exact process, not a successor with its number, is alive. */
  isSameAlive(ref: ProcessRef): boolean;
  /** Signals this exact process or nothing. False: it is gone or may not be signalled. */
  signal(ref: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean;
  /** Kills everything that `look` shows; stops it first, until nothing new appears, so that no fork escapes. */
  killAll(look: () => ProcessInfo[]): void;
  readonly processes: ProcessTable;
  /** Takes one look at the machine, for `doctor`. */
  look(): Look;
  /** The available tiers, best first, determined without changes. */
  tiers(): TierFinding[];
  readonly witness: Witness;
  /** The current boot. */
  bootId(): string;
  /** Throws `spawn_failed` when no terminal is available. */
  openTerminal(size: TerminalSize): Terminal;
  forkFront(request: FrontRequest): FrontLink;
  /** Whether a command line belongs to a guard or its helpers, which stand between a client and its server. */
  isHelper(words: readonly string[]): boolean;
  /** Shell functions that find and end a tree; also sent to ssh hosts. */
  readonly treeScript: string;
  /** Runs one of Holdfast's own programs to its end, for at most 15 seconds. */
  attempt(command: readonly string[]): Attempt;
  /** Starts one of Holdfast's own programs outside every container, such as a gateway of the self-test. */
  start(command: readonly string[], env: Readonly<Record<string, string>>): Helper;
}
