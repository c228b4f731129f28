/**
 * The `cgroup` tier: one cgroup v2 leaf per run under `<base>/holdfast-<owner>.<epoch>/runs/`, the keeper in `self`. The
 * command is born in its leaf and can leave it only by writing to cgroupfs; a marker scan after the kernel's `populated 0`
 * catches that case.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { environmentEntries, type ImageFormat } from "./command-image.ts";
import { ownCgroupDirectory } from "./cgroup-mount.ts";
import { isPopulated, killCgroup, pidsIn, removeCgroup, subtree } from "./cgroup-tree.ts";
import { delegateControllers, kernelExcess, setKernelLimits, withdrawControllers } from "./kernel-limits.ts";
import { guardVariable, markerOf, markerVariable } from "../marker.ts";
import type { Fence } from "./epoch.ts";
import { markerScans } from "./marked.ts";
import { childrenOf, readProcess } from "./processes.ts";
import { shell } from "./shell.ts";
import { askAll, signalProcess, signalTree } from "./signals.ts";
import { imageDescriptor, spawnDetached, spawnedAs } from "./spawning.ts";
import { system } from "./system.ts";
import { isAlive, type Container, type Excess, type MainExit, type PoliteRequest } from "../types.ts";
import type { ProcessInfo, Spawned, SpawnRequest, Swept, TreeLimits } from "../types.ts";
import { endFenced } from "../ending.ts";
import { Sightings } from "../sweep.ts";
import { untilTrue } from "../wait.ts";

/** Without a cgroup launcher for the processor: joins the leaf, then becomes the executor. */
const joinScript = 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"';
/** Time for the cgroup launcher to end after the command. */
const joinGraceMs = 1000;

export interface JoinPrograms {
  /** Undefined for processors without one. */
  cgroupLauncher: string | undefined;
  /** Command line of the executor. */
  executor: readonly string[];
  format: ImageFormat;
}

class CgroupContainer implements Container {
  readonly runId: string;
  readonly name: string;
  readonly #ownerId: string;
  readonly #programs: JoinPrograms;
  #child: ChildProcess | undefined;
  #childEnded = true;
  #main: number | undefined;
  #limits: TreeLimits = {};
  #ending: Promise<ProcessInfo[]> | undefined;

  constructor(directory: string, ownerId: string, runId: string, programs: JoinPrograms) {
    this.runId = runId;
    this.name = directory;
    this.#ownerId = ownerId;
    this.#programs = programs;
  }

  holdLimits(limits: TreeLimits): void {
    this.#limits = limits;
  }

  excess(): Excess | undefined {
    return kernelExcess(this.name);
  }

  async spawn(request: SpawnRequest): Promise<Spawned> {
    try {
      mkdirSync(this.name);
    } catch (cause) {
      throw new HoldfastError("spawn_failed", `cannot make the cgroup ${this.name}`, { cause });
    }
    setKernelLimits(this.name, this.#limits);
    const marker = markerOf(this.#ownerId, this.runId);
    const child = await spawnDetached({
      line: this.#line(request),
      shellVariables: { [markerVariable]: marker },
      request,
      environment: environmentEntries(request.env, { [guardVariable]: undefined, [markerVariable]: marker }),
      between: ["ignore", "ignore"],
      format: this.#programs.format,
    });
    this.#childEnded = false;
    const exit = new Promise<MainExit>((resolve) => {
      child.once("exit", (code, signal) => {
        this.#childEnded = true;
        resolve({ code, signal });
      });
    });
    this.#child = child;
    // Not awaited before its birth: early output of a command is lost without a listener.
    return spawnedAs(child, exit, () => this.#findMain());
  }

  /** The command itself, once born: the cgroup launcher's only child, or the spawned process if it joined by writing. */
  #findMain(): number | undefined {
    const outer = this.#child?.pid ?? 0;
    if (this.#childEnded) return this.#main;
    this.#main ??= pidsIn(this.name).includes(outer) ? outer : childrenOf(outer)[0];
    return this.#main;
  }

  /** All processes of the run live in its leaf. Arguments after the executor are shown by ps only. */
  #line({ command, args }: SpawnRequest): string[] {
    const { cgroupLauncher, executor } = this.#programs;
    const words = [this.name, ...executor, String(imageDescriptor), command, ...args];
    return cgroupLauncher === undefined ? [shell, "-c", joinScript, "sh", ...words] : [cgroupLauncher, ...words];
  }

  list(): ProcessInfo[] {
    return subtree(this.name).flatMap(pidsIn).map(readProcess).filter(isAlive);
  }

  ask(request: PoliteRequest): boolean {
    return askAll(this.list(), request);
  }

  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean {
    return signalTree(this.list(), signal, to === "all" ? undefined : (this.#findMain() ?? 0));
  }

  looksEmpty(): boolean {
    // A leaf without its first process does not count as empty.
    return (this.#childEnded || this.#findMain() !== undefined) && !isPopulated(this.name);
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next call looks again
      return left;
    });
    return this.#ending;
  }

  async #end(boundMs: number): Promise<ProcessInfo[]> {
    // First the process about to join: otherwise it would be born after the kill.
    const unborn = this.#findMain() === undefined && !this.#childEnded ? readProcess(this.#child?.pid ?? 0) : undefined;
    if (unborn !== undefined) {
      signalProcess(unborn, "SIGKILL");
      await untilTrue(() => this.#childEnded, joinGraceMs, systemClock);
    }
    const tree = {
      members: () => this.list(),
      isPopulated: () => isPopulated(this.name),
      kill: () => killCgroup(this.name),
      // The cgroup launcher ends by itself; a stopped one is ended with the other outside processes.
      dismissHelpers: () => untilTrue(() => this.#childEnded, joinGraceMs, systemClock),
      marked: async () => (await markerScans.soon(this.#ownerId)).get(this.runId) ?? [],
    };
    const left = await endFenced(system, tree, boundMs);
    if (left.length === 0) await untilTrue(() => removeCgroup(this.name), 200, systemClock);
    return left;
  }
}

type ControllerNames = readonly string[] | undefined;

/** Name of one epoch's fence; sweeps touch only their own owner's fences. */
function fenceName(ownerId: string, epoch: number): string {
  return `holdfast-${ownerId}.${epoch}`;
}

export class CgroupFence implements Fence {
  readonly tier = "cgroup";
  readonly #ownerId: string;
  readonly #base: string;
  readonly #fence: string;

  readonly #programs: JoinPrograms;
  /** Controllers this epoch has enabled, by parent directory, from the top. */
  readonly #delegated: [string, string[]][] = [];
  readonly #controllers: ControllerNames;
  readonly #home: string;

  private constructor(
    base: string,
    ownerId: string,
    epoch: number,
    programs: JoinPrograms,
    controllers: ControllerNames,
  ) {
    this.#controllers = controllers;
    this.#ownerId = ownerId;
    this.#programs = programs;
    this.#base = base;
    this.#fence = join(base, fenceName(ownerId, epoch));
    // Outside the fence, which it kills, and not in the base, which may hold no process while its children have controllers.
    this.#home = `${this.#fence}-guardian`;
  }

  /**
   * Creates the fence and moves this process into it, or returns the reason why it cannot. `controllers`: replaces those of the
   * limits, for tests.
   */
  static open(
    ownerId: string,
    epoch: number,
    programs: JoinPrograms,
    controllers?: ControllerNames,
  ): CgroupFence | { reason: string } {
    const own = ownCgroupDirectory();
    if ("reason" in own) return own;
    const fence = new CgroupFence(own.directory, ownerId, epoch, programs, controllers);
    try {
      fence.#enter();
      return fence;
    } catch (error) {
      fence.close();
      return { reason: error instanceof Error ? error.message : String(error) };
    }
  }

  get guardianWords(): readonly string[] {
    const given = this.#delegated.find(([directory]) => directory === this.#base)?.[1] ?? [];
    return [this.#fence, this.#home, ...given];
  }

  create(runId: string): Container {
    return new CgroupContainer(join(this.#fence, "runs", runId), this.#ownerId, runId, this.#programs);
  }

  async sweep(boundMs: number): Promise<Swept> {
    const seen = new Sightings(system);
    const prefix = `holdfast-${this.#ownerId}.`;
    for (const name of readdirSync(this.#base)) {
      const directory = join(this.#base, name);
      if (name.startsWith(prefix) && directory !== this.#fence && directory !== this.#home)
        await endFence(directory, seen, boundMs);
    }
    return seen.part();
  }

  close(): void {
    for (const [directory, names] of this.#delegated.toReversed()) withdrawControllers(directory, names);
    removeCgroup(this.#home);
    try {
      writeFileSync(join(this.#base, "cgroup.procs"), String(process.pid));
    } catch {
      // never entered, or the base is gone: nothing to leave
    }
    removeCgroup(this.#fence);
  }

  #enter(): void {
    const runs = join(this.#fence, "runs");
    for (const directory of [this.#fence, join(this.#fence, "self"), runs, this.#home]) {
      // Not recursive: that would report a read-only file system as a missing directory.
      if (!existsSync(directory)) mkdirSync(directory);
    }
    if (!existsSync(join(runs, "cgroup.kill"))) throw new Error("no cgroup.kill (Linux before 5.14)");
    writeFileSync(join(this.#fence, "self", "cgroup.procs"), String(process.pid));
    // The root cgroup is not ours to change. Any other base refuses by itself while it holds a foreign process.
    const base = existsSync(join(this.#base, "cgroup.type")) ? [this.#base] : [];
    for (const directory of [...base, this.#fence, runs])
      this.#delegated.push([directory, delegateControllers(directory, this.#controllers)]);
  }
}

/**
 * Ends another epoch's remains under its fence. A process belongs to the run whose directory below `runs` holds it, even in
 * cgroups that it made itself.
 */
async function endFence(directory: string, seen: Sightings, boundMs: number): Promise<void> {
  const see = () => {
    for (const leaf of subtree(directory)) {
      const [kind, run = null] = leaf.slice(directory.length + 1).split("/");
      for (const info of pidsIn(leaf).map(readProcess)) if (isAlive(info)) seen.add(info, kind === "runs" ? run : null);
    }
  };
  see();
  killCgroup(directory);
  await untilTrue(() => !isPopulated(directory), boundMs, systemClock);
  removeCgroup(directory);
  if (isPopulated(directory)) see();
}
