/**
 * The platform wall: everything the rest of Holdfast may know about an operating system. Behind it stand `linux/` and
 * `simulated/`. Results are data; sentences are made where people read them.
 */
import type { Readable, Writable } from "node:stream";
import type { Attempt, FrontLink, FrontRequest, Helper, Watchdog } from "./helper.ts";
import type { Look } from "./look.ts";
import type { MainExit, PoliteRequest, ProcessInfo, ProcessRef, ProcessState, ProcessTable } from "./process.ts";

export * from "./helper.ts";
export * from "./process.ts";

type StreamKind = "pipe" | "inherit" | "ignore";

/** Whole entries `NAME=value` keep their order, duplicates and odd names. */
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

/** The command as it was started. A stream that is not a pipe is null. */
export interface Spawned {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** What was started: the command, or the helper in front of it. It leads a process group of its own. */
  readonly ref: ProcessRef;
  /** Pid of the command itself as far as it is known, that of the helper in front of it until then. */
  mainPid(): number;
  /** Never rejects. */
  readonly exit: Promise<MainExit>;
}

export interface TreeLimits {
  /** Live processes at a time, the command included. */
  processesMax?: number | undefined;
  /** Resident memory of all processes together, in bytes; shared pages are counted for each. */
  memoryBytesMax?: number | undefined;
}

/** A limit that was exceeded. */
export interface Excess {
  readonly limit: keyof TreeLimits;
  /** What there was; undefined when the kernel prevented it. */
  readonly seen?: number | undefined;
  /** What the kernel or the look allows, in the limit's unit; the kernel counts threads instead of processes. */
  readonly allowed: number;
}

/** The operating system's fence around one run. */
export interface Container {
  readonly runId: string;
  /** What the ledger calls it. Known before anything is spawned. */
  readonly name: string;
  /** Has the kernel enforce these limits, where it can. Before `spawn`. */
  holdLimits?(limits: TreeLimits): void;
  /** The limit that the kernel has enforced, if any. */
  excess?(): Excess | undefined;
  /** Starts the command inside, at most once. Rejects with `spawn_failed` when the operating system refuses. */
  spawn(request: SpawnRequest): Promise<Spawned>;
  /** Live processes of the run, without Holdfast's own helpers. */
  list(): ProcessInfo[];
  /** Whether the kernel knows no live process of the run. Cheap; `end` gives the full proof. */
  looksEmpty(): boolean;
  /** Asks every process. False: none could be asked. */
  ask(request: PoliteRequest): boolean;
  /** Sends a signal, where the platform has it. False: nothing was signalled. */
  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean;
  /**
   * Kills until empty, proves it and takes the fence down. Resolves with what could not be ended: an empty list is the
   * proof. Never rejects. A call during another joins it; a later one looks again.
   */
  end(boundMs: number): Promise<ProcessInfo[]>;
  /** Of a fence on another machine: the connection is gone, so the run may live on unseen. */
  readonly lost?: boolean;
  /** Set after an `end` without proof: resolves once the run is proven empty after all. */
  readonly owed?: Promise<void> | undefined;
}

/** A process that an earlier epoch left. */
export interface LeftProcess extends ProcessRef {
  /** Its run; null when it belongs to none, such as a front. */
  readonly run: string | null;
  /** As it was seen last. */
  readonly state: ProcessState;
  readonly command: string;
}

export interface Swept {
  /** Proven gone. */
  readonly ended: readonly LeftProcess[];
  /** Still alive after the bound. */
  readonly left: readonly LeftProcess[];
}

export type TierName = "cgroup" | "subreaper";

/** One life of a keeper on this machine. */
export interface Epoch {
  readonly tier: TierName;
  /** What proves a container empty: the kernel's own count, or repeated scans. */
  readonly proof: "kernel" | "scan";
  /** A run id begins with `runIdPrefix(epoch)`. */
  create(runId: string): Container;
  /** Starts the process that ends this epoch's runs when the keeper dies. */
  watchdog(): Watchdog;
  /** Ends what earlier epochs of the same owner left, wherever it is. Never rejects; asked again it looks again. */
  sweepEarlier(boundMs: number): Promise<Swept>;
  /** Ends this epoch's processes whose run `isHeld` does not claim. Never rejects; asked again it looks again. */
  endStrays(isHeld: (runId: string) => boolean, boundMs: number): Promise<Swept>;
  /** Takes the epoch's own fence down at an orderly end. */
  close(): void;
}

/** Why a better tier is not used here. */
export interface RefusedTier {
  readonly tier: TierName;
  readonly reason: string;
}

/** Why a tier is not to be had on this machine. */
export type TierObstacle =
  | { readonly kind: "old-kernel"; readonly release: string; readonly lacks: string; readonly needs: string }
  | { readonly kind: "processor"; readonly arch: string }
  | { readonly kind: "no-cgroup"; readonly reason: string; readonly isMounted: boolean }
  /** Not even root may write there. */
  | { readonly kind: "read-only"; readonly directory: string }
  | { readonly kind: "not-ours"; readonly directory: string; readonly hasUserManager: boolean };

export interface TierFinding {
  readonly tier: TierName;
  /** Undefined: the machine gives the tier. */
  readonly obstacle: TierObstacle | undefined;
}

export interface Opened {
  readonly epoch: Epoch;
  readonly refused: readonly RefusedTier[];
}

export interface OpenOptions {
  /** Where helper programs may be kept. */
  readonly directory: string;
  /** Demands this tier: tests and comparisons. */
  readonly only?: TierName | undefined;
}

export interface TerminalSize {
  /** Characters per line. */
  readonly columns: number;
  /** Lines. */
  readonly rows: number;
}

/** The command's end of a terminal, opaque outside the platform. */
interface TerminalEnd {
  readonly descriptor: number;
}

/** A terminal as its owner holds it. */
export interface Terminal {
  /** What is printed. Closes when nobody has the command's end open. */
  readonly output: Readable;
  readonly end: TerminalEnd;
  /** Types what fits without waiting; returns how many bytes that are. Throws nothing: a closed terminal takes all. */
  write(bytes: Uint8Array): number;
  resize(size: TerminalSize): void;
  /** The command has its end now, so ours of it is closed. */
  release(): void;
  close(): void;
}

/** What this process uses. */
export interface OwnUsage {
  readonly descriptors: number;
  /** Infinity: unlimited. */
  readonly descriptorsMax: number;
}

/** Whether this process has a controlling terminal, and is what the terminal listens to. */
export type OwnTerminal = "none" | "background" | "foreground";

/** For the self-test. */
export interface Witness {
  /** Told by the system itself, and by nothing of what the self-test tests. */
  readonly isLive: (ref: Pick<ProcessRef, "pid" | "startTime">) => boolean;
  /** A program that makes itself a subreaper and becomes its arguments, kept in this directory. */
  reaperProgram(directory: string): string;
  /** Ends everything that carries a mark of this owner. */
  endOwner(owner: string, boundMs: number): Promise<Swept>;
}

export interface Platform {
  /** Opens one life of `owner` on the best tier this machine gives. Throws `unsupported_platform`. */
  readonly open: (owner: string, epoch: number, options: OpenOptions) => Opened;
  /** A fence for one tree that must not outlive this process; needs no keeper and no rights. */
  contain(owner: string, runId: string): Container;
  /** The live process of this number. */
  identify(pid: number): ProcessRef | undefined;
  /** Whether this very process, not a successor with its number, is alive. */
  isSameAlive(ref: ProcessRef): boolean;
  /** Signals this very process or nothing. False: it is gone or may not be signalled. */
  signal(ref: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean;
  /** Kills everything that `look` shows; stops it first, until nothing new appears, so that no fork escapes. */
  killAll(look: () => ProcessInfo[]): void;
  readonly processes: ProcessTable;
  /** Takes one look at the machine, for `doctor`. */
  look(): Look;
  /** What this machine gives, the best tier first, found out without changing anything. */
  tiers(): TierFinding[];
  readonly witness: Witness;
  /** The boot that is running. */
  bootId(): string;
  /** Throws `spawn_failed` when there is no terminal to be had. */
  openTerminal(size: TerminalSize): Terminal;
  forkFront(request: FrontRequest): FrontLink;
  /** Whether a command line is that of a guard or its helpers, which stand between a client and its server. */
  isHelper(words: readonly string[]): boolean;
  /** Shell functions that find and end a tree: they are sent to ssh hosts as well. */
  readonly treeScript: string;
  /** Runs a program of Holdfast's own to its end, for 15 seconds at most. */
  attempt(command: readonly string[]): Attempt;
  /** Starts a program of Holdfast's own outside every container, such as a gateway of the self-test. */
  start(command: readonly string[], env: Readonly<Record<string, string>>): Helper;
}
