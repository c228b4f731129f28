/**
 * A model of a kernel's process handling: births, deaths, orphans, signals, fences. Every step of every process is drawn from
 * the seed, so orders that a real machine shows once in a million runs come up in seconds.
 */
import type { ProcessInfo, ProcessState } from "../types.ts";
import { Coalitions } from "./coalitions.ts";
import { MachineTime } from "./machine-time.ts";
import { Fence, Process, type Birth, type Exit, type KernelCalls, type Program } from "./process.ts";
import type { Actor, Simulation } from "./simulation.ts";

/** The reason for a refused birth, as errno. */
export class KernelRefusal extends Error {
  readonly code: "EAGAIN" | "ENOENT";
  constructor(code: KernelRefusal["code"]) {
    super(code);
    this.code = code;
  }
}

export interface KernelOptions {
  /** Highest process number: a small one is reused soon. */
  readonly pidMax?: number;
  readonly bootId?: string;
  readonly time?: MachineTime;
  /** Whose rules decide over orphans and process numbers; Linux's by default. */
  readonly rules?: "linux" | "xnu";
}

/** Signals that end a process without a handler. */
const deadly = new Set<NodeJS.Signals>(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGUSR1", "SIGUSR2"]);
/** Probability that a running process takes one more step before a signal arrives, as on another processor. */
const raceProbability = 0.5;

export class Kernel implements Actor, KernelCalls {
  readonly bootId: string;
  readonly time: MachineTime;
  readonly root = new Fence("", undefined);
  readonly init: Process;
  readonly #simulation: Simulation;
  readonly #pidMax: number;
  readonly #isXnu: boolean;
  readonly coalitions = new Coalitions();
  readonly #processes = new Map<number, Process>();
  readonly #fences = new Map<string, Fence>();
  #lastPid = 0;
  #births = 0;
  #versions = 0;
  #isStepping = false;

  constructor(
    simulation: Simulation,
    { pidMax = 32_768, bootId = "boot-1", time = new MachineTime(), rules = "linux" }: KernelOptions = {},
  ) {
    this.#simulation = simulation;
    this.#isXnu = rules === "xnu";
    this.#pidMax = pidMax;
    this.bootId = bootId;
    this.time = time;
    this.init = this.#birth(undefined, reapForEver, this.#isXnu ? { coalition: this.coalitions.make() } : {});
    simulation.add(this);
  }

  nowMs(): number {
    return this.time.monotonic(this.#simulation.nowMs);
  }

  get processes(): Process[] {
    return [...this.#processes.values()];
  }

  find(pid: number): Process | undefined {
    return this.#processes.get(pid);
  }

  info(process: Process): ProcessInfo {
    const { pid, startTime, rssBytes, cpuMs } = process;
    return {
      pid,
      startTime,
      bootId: this.bootId,
      ppid: process.parent?.pid ?? 0,
      state: stateOf(process),
      rssBytes,
      cpuMs,
    };
  }

  fork(parent: Process, program: Program, birth: Birth): Process {
    // Code of a process that was killed in the middle of a step starts nothing more.
    if (!parent.isAlive) throw new KernelRefusal("EAGAIN");
    const fence = birth.fence ?? parent.fence;
    if (fence.isRemoved) throw new KernelRefusal("ENOENT");
    for (const each of fence.around) {
      if (each.processesMax === Infinity || this.within(each).length < each.processesMax) continue;
      each.refusals += 1;
      throw new KernelRefusal("EAGAIN");
    }
    const child = this.#birth(parent, program, birth);
    if (parent.isFenceKilled && child.fence === parent.fence) this.#fenceKill(child);
    return child;
  }

  signal(process: Process, signal: NodeJS.Signals): void {
    if (!process.isAlive || process === this.init) return;
    if (signal === "SIGCONT") {
      process.pending.delete("SIGSTOP");
      process.isStopped = false;
    }
    process.hasRaced = false;
    process.pending.add(signal);
  }

  signalGroup(group: number, signal: NodeJS.Signals): void {
    for (const process of this.processes) if (process.group === group) this.signal(process, signal);
  }

  nextVersion(): number {
    this.#versions += 1;
    return this.#versions;
  }

  makeFence(name: string, parent: Fence = this.root): Fence {
    const known = this.#fences.get(name);
    if (known !== undefined) return known;
    const fence = new Fence(name, parent);
    this.#fences.set(name, fence);
    return fence;
  }

  fences(prefix: string): Fence[] {
    return [...this.#fences.values()].filter(({ name }) => name.startsWith(prefix));
  }

  /** Live processes of a fence, including nested fences. */
  within(fence: Fence): Process[] {
    return this.processes.filter((process) => process.isAlive && process.fence.isWithin(fence));
  }

  /** Kills everything in it, including concurrent forks. */
  killFence(fence: Fence): void {
    for (const process of this.within(fence)) this.#fenceKill(process);
  }

  /** False: it is populated. */
  removeFence(fence: Fence): boolean {
    if (this.within(fence).length > 0) return false;
    for (const [name, each] of this.#fences) {
      if (!each.isWithin(fence)) continue;
      each.isRemoved = true;
      this.#fences.delete(name);
    }
    return true;
  }

  reap(process: Process): void {
    if (process.isAlive || this.#processes.get(process.pid) !== process) return;
    process.parent?.children.delete(process);
    this.#processes.delete(process.pid);
  }

  step(): boolean {
    if (this.time.isSuspended) return false;
    const ready: Process[] = [];
    for (const each of this.#processes.values()) if (this.#isReady(each)) ready.push(each);
    const process = this.#simulation.random.pick(ready);
    if (process === undefined) return false;
    this.#isStepping = true;
    this.#advance(process);
    this.#isStepping = false;
    return true;
  }

  /** Steps of other processes during a system call. */
  interleave(stepsMax = 2): void {
    if (this.#isStepping) return;
    for (let count = this.#simulation.random.below(stepsMax + 1); count > 0; count -= 1) this.step();
  }

  /** Everything ends at once, unnoticed. */
  powerOff(): void {
    for (const process of this.processes) process.exit = { code: null, signal: "SIGKILL" };
    this.#simulation.remove(this);
  }

  dueMs(): number | undefined {
    if (this.time.isSuspended) return undefined;
    let due: number | undefined;
    for (const { isAlive, isStopped, fence, pause } of this.#processes.values()) {
      if (!isAlive || isStopped || isFrozen(fence) || pause === undefined || !("untilMs" in pause)) continue;
      due = Math.min(due ?? Infinity, pause.untilMs);
    }
    return due === undefined ? undefined : due + this.time.stoodStillMs;
  }

  #birth(parent: Process | undefined, program: Program, birth: Birth): Process {
    const pid = this.#freePid();
    this.#births += 1;
    const process = new Process(this, pid, String(this.#births), parent, birth);
    process.steps = program(process);
    parent?.children.add(process);
    this.#processes.set(pid, process);
    return process;
  }

  #freePid(): number {
    for (let tries = 0; tries < this.#pidMax; tries += 1) {
      this.#lastPid = this.#lastPid >= this.#pidMax ? 2 : this.#lastPid + 1;
      if (!this.#processes.has(this.#lastPid) && !(this.#isXnu && this.#isNamed(this.#lastPid))) return this.#lastPid;
    }
    throw new KernelRefusal("EAGAIN");
  }

  /** Whether a group or session has this number (forkproc: pghash_exists_locked, session_find_locked). */
  #isNamed(pid: number): boolean {
    for (const { group, session } of this.#processes.values()) if (group === pid || session === pid) return true;
    return false;
  }

  #fenceKill(process: Process): void {
    if (!process.isAlive) return;
    process.isFenceKilled = true;
    this.signal(process, "SIGKILL");
  }

  #isReady(process: Process): boolean {
    if (!process.isAlive || process.isUninterruptible) return false;
    if (process.pending.has("SIGKILL")) return true;
    if (isFrozen(process.fence)) return false;
    if (process.isStopped) return false;
    if (process.pending.size > 0) return true;
    const { pause } = process;
    if (pause === undefined || "uninterruptible" in pause) return true;
    return "until" in pause ? pause.until() : pause.untilMs <= this.nowMs();
  }

  #advance(process: Process): void {
    const [signal] = process.pending.has("SIGKILL") ? (["SIGKILL"] as const) : process.pending;
    const isOnProcessor = process.pause === undefined && !process.isStopped && !isFrozen(process.fence);
    if (signal !== undefined && isOnProcessor && !process.hasRaced && this.#simulation.random.chance(raceProbability))
      process.hasRaced = true;
    else if (signal !== undefined) return this.#deliver(process, signal);
    process.cpuMs += 0.01;
    try {
      const { done, value } = process.steps.next();
      if (done !== true) process.pause = value;
      else this.end(process, typeof value === "object" ? value : { code: value ?? 0, signal: null });
    } catch (thrown) {
      if (!(thrown instanceof KernelRefusal)) throw thrown;
      this.end(process, { code: 1, signal: null }); // a program that does not handle a refused fork
    }
  }

  #deliver(process: Process, signal: NodeJS.Signals): void {
    process.pending.delete(signal);
    if (signal === "SIGKILL") return this.end(process, { code: null, signal });
    if (signal === "SIGSTOP") {
      process.isStopped = true;
      return;
    }
    const handler = process.handlers.get(signal);
    if (handler !== undefined) handler();
    else if (deadly.has(signal) && !process.ignored.has(signal)) this.end(process, { code: null, signal });
  }

  /** Ends a process: its children go to the nearest subreaper above, on XNU to launchd (proc_exit); it stays until reaped. */
  end(process: Process, exit: Exit): void {
    if (!process.isAlive) return;
    process.exit = exit;
    process.pending.clear();
    if (process.coalition !== undefined) process.coalition.exited += 1n;
    for (const pipe of process.outputs) pipe.drop(process);
    let heir = process.parent ?? this.init;
    if (this.#isXnu) heir = this.init;
    while (heir !== this.init && !(heir.isAlive && heir.isSubreaper)) heir = heir.parent ?? this.init;
    for (const child of process.children) {
      child.parent = heir;
      heir.children.add(child);
    }
    process.children.clear();
    for (const tell of process.onExit) tell(exit);
  }
}

function isFrozen(fence: Fence): boolean {
  return fence.isFrozen || (fence.parent !== undefined && isFrozen(fence.parent));
}

function stateOf(process: Process): ProcessState {
  if (!process.isAlive) return "zombie";
  if (process.isUninterruptible) return "uninterruptible";
  if (process.isStopped) return "stopped";
  return process.pause === undefined ? "running" : "sleeping";
}

function* reapForEver(self: Process) {
  for (;;) {
    while (self.reap() !== undefined) yield undefined;
    yield { until: () => [...self.children].some((child) => !child.isAlive) };
  }
}
