/** One process of the model kernel, as its program sees it: the available calls. */
import type { ProcessInfo } from "../types.ts";
import type { Coalition } from "./coalitions.ts";
import type { MachineTime } from "./machine-time.ts";
import type { Pipe } from "./pipe.ts";

/** What a program waits for before its next step; undefined: nothing. */
export type Pause =
  | undefined
  | { readonly untilMs: number }
  | { readonly until: () => boolean }
  /** Receives no signal, not even a kill. */
  | { readonly uninterruptible: () => boolean };

/** Code between two `yield`s is one atomic step. The returned value is the exit. */
export type Program = (self: Process) => Generator<Pause, number | Exit | void, void>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A group of processes that the kernel counts and kills as one, like a cgroup. */
export class Fence {
  readonly name: string;
  readonly parent: Fence | undefined;
  isFrozen = false;
  isRemoved = false;
  /** Limit of live processes in it and below. */
  processesMax = Infinity;
  /** Number of forks refused for that limit. */
  refusals = 0;

  constructor(name: string, parent: Fence | undefined) {
    this.name = name;
    this.parent = parent;
  }

  isWithin(outer: Fence): boolean {
    return this === outer || this.parent?.isWithin(outer) === true;
  }

  /** Itself and its ancestors. */
  get around(): Fence[] {
    return [this, ...(this.parent?.around ?? [])];
  }
}

/** Properties of a child that differ from its parent's. */
export interface Birth {
  /** A coalition that is its own, as launchd gives each job. */
  readonly coalition?: Coalition;
  /** The leader of a session of its own, as by POSIX_SPAWN_SETSID. */
  readonly isSessionLeader?: boolean;
  readonly fence?: Fence;
  readonly command?: string;
  /** As NUL-separated entries. */
  readonly environment?: string;
  readonly input?: Pipe | undefined;
  readonly outputs?: readonly Pipe[];
}

/** The kernel calls of a process and its program. */
export interface KernelCalls {
  readonly time: MachineTime;
  readonly root: Fence;
  readonly processes: Process[];
  nowMs(): number;
  find(pid: number): Process | undefined;
  info(process: Process): ProcessInfo;
  fork(parent: Process, program: Program, birth: Birth): Process;
  signal(process: Process, signal: NodeJS.Signals): void;
  signalGroup(group: number, signal: NodeJS.Signals): void;
  makeFence(name: string, parent?: Fence): Fence;
  within(fence: Fence): Process[];
  killFence(fence: Fence): void;
  removeFence(fence: Fence): boolean;
  reap(process: Process): void;
  /** XNU's `nextpidversion`. */
  nextVersion(): number;
}

export class Process {
  readonly pid: number;
  /** Unique in this boot: a clock so fine that it never shows a time twice. */
  readonly startTime: string;
  readonly startedAtMs: number;
  readonly kernel: KernelCalls;
  readonly children = new Set<Process>();
  readonly ignored = new Set<NodeJS.Signals>();
  readonly handlers = new Map<NodeJS.Signals, () => void>();
  readonly pending = new Set<NodeJS.Signals>();
  readonly onExit: ((exit: Exit) => void)[] = [];
  parent: Process | undefined;
  session: number;
  group: number;
  fence: Fence;
  command: string;
  environment: string;
  input: Pipe | undefined;
  outputs: readonly Pipe[];
  /** Its origin, whatever it has become: for tests, independent of the tested code. */
  origin: string;
  isSubreaper = false;
  #isStopped = false;
  #whenContinued: (() => void)[] = [];
  /** Killed together with its fence: its further forks are killed too. */
  isFenceKilled = false;
  /** Has taken the one step that a pending signal allowed. */
  hasRaced = false;
  pause: Pause;
  steps: ReturnType<Program>;
  exit: Exit | undefined;
  rssBytes = 1_000_000;
  cpuMs = 0;
  /** XNU's `p_puniqueid`: the start time of its parent when it was forked, or when it last became another program. */
  parentStartTime: string;
  /** XNU's `p_idversion`. */
  version: number;
  uid: number;
  readonly coalition: Coalition | undefined;

  constructor(kernel: KernelCalls, pid: number, startTime: string, parent: Process | undefined, birth: Birth) {
    this.kernel = kernel;
    this.pid = pid;
    this.startTime = startTime;
    this.startedAtMs = kernel.nowMs();
    this.parent = parent;
    this.session = parent?.session ?? pid;
    this.group = parent?.group ?? pid;
    this.fence = birth.fence ?? parent?.fence ?? kernel.root;
    this.command = birth.command ?? parent?.command ?? "init";
    this.environment = birth.environment ?? parent?.environment ?? "";
    this.input = birth.input ?? parent?.input;
    this.outputs = birth.outputs ?? parent?.outputs ?? [];
    this.origin = parent?.origin ?? "";
    for (const signal of parent?.ignored ?? []) this.ignored.add(signal);
    for (const pipe of this.outputs) pipe.hold(this);
    this.steps = (function* nothing() {})();
    this.parentStartTime = parent?.startTime ?? "0"; // pinsertchild
    this.version = kernel.nextVersion(); // forkproc
    this.uid = parent?.uid ?? 501;
    this.coalition = birth.coalition ?? parent?.coalition; // task_create_internal
    if (this.coalition !== undefined) this.coalition.started += 1n;
    if (birth.isSessionLeader === true) this.setSession();
  }

  get isAlive(): boolean {
    return this.exit === undefined;
  }

  get time(): MachineTime {
    return this.kernel.time;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  set isStopped(value: boolean) {
    this.#isStopped = value;
    if (!value) for (const action of this.#whenContinued.splice(0)) action();
  }

  /** Runs at its end, or now if that was earlier. */
  whenOver(action: (exit: Exit) => void): void {
    if (this.exit === undefined) this.onExit.push(action);
    else action(this.exit);
  }

  /** What was due while it was stopped; never, when it dies before. */
  whenContinued(action: () => void): void {
    this.#whenContinued.push(action);
  }

  get isUninterruptible(): boolean {
    return this.pause !== undefined && "uninterruptible" in this.pause && !this.pause.uninterruptible();
  }

  /** Throws KernelRefusal when the table or a fence is full. */
  fork(program: Program, birth: Birth = {}): Process {
    return this.kernel.fork(this, program, birth);
  }

  /** Becomes another program; `environment` replaces its own. */
  exec(command: string, environment = this.environment): void {
    this.command = command;
    this.environment = environment;
    this.handlers.clear();
    this.parentStartTime = this.parent?.startTime ?? "0"; // pinsertchild: an exec inserts a copy below the parent of now
    this.version = this.kernel.nextVersion(); // proc_setpidversion
    if (this.coalition === undefined) return;
    this.coalition.started += 1n;
    this.coalition.exited += 1n;
  }

  setSession(): void {
    this.session = this.pid;
    this.group = this.pid;
  }

  ignore(...signals: NodeJS.Signals[]): void {
    for (const signal of signals) this.ignored.add(signal);
  }

  /** Survives these signals without passing that on to its children, unlike ignoring. */
  withstand(...signals: NodeJS.Signals[]): void {
    for (const signal of signals) this.handlers.set(signal, () => {});
  }

  closeStreams(): void {
    for (const pipe of this.outputs) pipe.drop(this);
    this.outputs = [];
    this.input = undefined;
  }

  print(text: string | Uint8Array, stream: 0 | 1 = 0): void {
    this.outputs[stream]?.write(text);
  }

  /** Reaps one dead child; undefined when there is none. */
  reap(): Process | undefined {
    const dead = [...this.children].find((child) => !child.isAlive);
    if (dead !== undefined) this.kernel.reap(dead);
    return dead;
  }
}
