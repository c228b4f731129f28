/** What a tier gives its caller: a fence around one process tree, the means to end it, and the proof that it is empty. */
import type { ChildProcess } from "node:child_process";
import type { Environment } from "./linux/command-image.ts";
import type { TreeLimits } from "./limit-watch.ts";
import type { ProcessInfo } from "./linux/processes.ts";

export type TierName = "cgroup" | "subreaper";

export interface SpawnRequest {
  command: string;
  args: readonly string[];
  cwd?: string | undefined;
  /** The whole environment; the marker is added by the container. */
  env: Environment;
  /** As for child_process.spawn; a pipe by default. */
  stdin?: "pipe" | "inherit" | "ignore";
  stdout?: "pipe" | "inherit" | "ignore";
  stderr?: "pipe" | "inherit" | "ignore";
  /** A terminal's slave descriptor: all three are this, and it becomes the controlling terminal. See terminal.ts. */
  terminal?: number | undefined;
}

/** How the command itself (the leader) ended; its descendants may live on. */
export interface LeaderExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The process that was spawned: stdin, stdout and stderr are the command's own. */
export interface ContainedProcess {
  /** The child of this process: the command itself, or its guard. */
  readonly child: ChildProcess;
  /** Pid of the command itself as far as it is known; the guard's until then. */
  leaderPid(): number;
  /** Resolves when the command itself has ended. Never rejects. */
  readonly leaderExit: Promise<LeaderExit>;
}

/** The operating system's fence around one run. */
export interface Container {
  readonly runId: string;
  /** The name that the ledger keeps: a cgroup path, or the guard's marker. Known before anything is spawned. */
  readonly name: string;
  /** Has the kernel hold these limits too, where it can. Before `spawn`; absent where nothing can. */
  holdLimits?(limits: TreeLimits): void;
  /** What the kernel has refused or killed for such a limit, in words. */
  excess?(): string | undefined;
  /** Starts the command inside. At most once. Throws `spawn_failed` when the operating system refuses. */
  spawn(request: SpawnRequest): Promise<ContainedProcess>;
  /** Live processes of the run, without Holdfast's own. */
  members(): ProcessInfo[];
  /** Sends a signal to every member. */
  signal(signal: NodeJS.Signals): void;
  /** Whether the kernel knows no live process of this run. Cheap; `end` gives the full proof. */
  looksEmpty(): boolean;
  /**
   * Kills until empty, proves it, and takes the fence down. Resolves with what could not be ended: an empty list is the
   * proof. Never rejects; bounded by `boundMs`. A call while another is under way joins it; one after it looks again.
   */
  end(boundMs: number): Promise<ProcessInfo[]>;
  /** Whether what carried the run is gone, so that the run may live on where nobody can look. Local fences have none. */
  readonly lost?: boolean;
  /** Set after an `end` without proof: resolves once the run is proven empty after all. */
  readonly owed?: Promise<void> | undefined;
}

/** A process that an earlier epoch left. */
export interface LeftProcess {
  pid: number;
  startTime: string;
  /** Id of its run; null = it belongs to none, a front for example. */
  run: string | null;
  /** Letter of /proc/<pid>/stat when it was seen last. */
  state: string;
  command: string;
}

/** What became of what earlier epochs left. */
export interface Swept {
  /** Proven gone. */
  ended: LeftProcess[];
  /** Could not be ended within the bound. */
  left: LeftProcess[];
}

/** Everything of one epoch on one machine: what the guardian must end when the keeper is gone. */
export interface Containment {
  readonly tier: TierName;
  create(runId: string): Container;
  /** Arguments FENCE, HOME and CONTROLLER... of guardian.sh. */
  readonly guardian: { fence: string; home: string; controllers: readonly string[] };
  /** Ends what other epochs of the same owner left in containers. Never rejects. */
  sweep(boundMs: number): Promise<Swept>;
  /** Takes the epoch's own fence down at an orderly end. */
  close(): void;
}
