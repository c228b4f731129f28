/**
 * The `subreaper` tier: needs no rights. Each run's command is the child of a guard (guard.sh), to which the kernel reparents
 * every orphan of the run; the keeper is a subreaper above the guards, so a killed guard strands nothing.
 */
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Duplex } from "node:stream";
import { systemClock } from "../../clock.ts";
import { environmentEntries } from "./command-image.ts";
import { guardVariable, markerOf, markerVariable } from "../marker.ts";
import type { Fence } from "./epoch.ts";
import { markerScans } from "./marked.ts";
import { adoptedOrphans, adoptedPids } from "./own-children.ts";
import { childrenOf, descendantsOf, identify, isSameAlive } from "./processes.ts";
import { readEnvironment, readProcess } from "./processes.ts";
import { installProgram } from "./programs.ts";
import { scriptPath, shell } from "./shell.ts";
import { askAll, signalProcess, signalTree } from "./signals.ts";
import { system } from "./system.ts";
import { spawnDetached, spawnedAs } from "./spawning.ts";
import { isAlive, type Container, type MainExit, type PoliteRequest, type ProcessInfo } from "../types.ts";
import type { ProcessRef, Spawned, SpawnRequest, Swept } from "../types.ts";
import { endScanned, isProvenEmpty, killAll } from "../ending.ts";
import { untilTrue } from "../wait.ts";

/** Descriptor of the life line in the guard. */
const lifeLine = 3;
/** More than the three lines of a guard. */
const saidCharsMax = 256;
/** Time for a guard to send its first line, and to end when told; then it is killed. */
const guardGraceMs = 1000;

function signalOfCode(code: number): NodeJS.Signals | null {
  // A shell reports 128 + n for a signal; an exit with that code looks the same.
  if (code <= 128) return null;
  const entry = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return (entry?.[0] as NodeJS.Signals | undefined) ?? null;
}

/** A guard's parent: a keeper, itself a subreaper that takes over from a dead guard, or else a shell in that role. */
export type GuardParent = "subreaper" | "outer-shell";

/** Paths of the programs for a guard. */
export interface GuardPrograms {
  launcher: string;
  executor: string;
}

export function installGuardPrograms(directory: string): GuardPrograms {
  return { launcher: installProgram(directory, "launcher"), executor: installProgram(directory, "executor") };
}

export class GuardedContainer implements Container {
  readonly runId: string;
  readonly name: string;
  readonly #ownerId: string;
  readonly #programs: GuardPrograms;
  readonly #parent: GuardParent;
  #spawning: Promise<Spawned> | undefined;
  #child: ChildProcess | undefined;
  #guard: ProcessRef | undefined;
  #monitor = 0;
  #main = 0;
  #life: Duplex | undefined;
  #childEnded = false;
  #mainEnded: (exit: MainExit) => void = () => {};
  #ending: Promise<ProcessInfo[]> | undefined;

  constructor(programs: GuardPrograms, ownerId: string, runId: string, parent: GuardParent) {
    this.#parent = parent;
    this.runId = runId;
    this.name = `guard:${ownerId}/${runId}`;
    this.#ownerId = ownerId;
    this.#programs = programs;
  }

  spawn(request: SpawnRequest): Promise<Spawned> {
    const spawning = this.#spawn(request);
    this.#spawning = spawning;
    return spawning;
  }

  async #spawn(request: SpawnRequest): Promise<Spawned> {
    const marker = markerOf(this.#ownerId, this.runId);
    const environment = environmentEntries(request.env, { [guardVariable]: undefined, [markerVariable]: marker });
    const exit = new Promise<MainExit>((resolve) => {
      this.#mainEnded = resolve;
    });
    const child = await spawnDetached({
      line: [this.#programs.launcher, ...this.#guardCommand(marker, request)],
      shellVariables: { [guardVariable]: `${this.#ownerId}/${this.runId}` },
      request,
      environment,
      between: ["pipe", "ignore"],
    });
    this.#child = child;
    if (this.#parent === "subreaper") this.#guard = identify(child.pid ?? 0);
    child.once("exit", (code, signal) => {
      this.#childEnded = true;
      this.#life?.destroy();
      this.#mainEnded({ code, signal });
    });
    await this.#listen(child.stdio[lifeLine] as Duplex);
    return spawnedAs(child, exit, () => this.#main || undefined);
  }

  list(): ProcessInfo[] {
    if (this.#guard === undefined) return [];
    if (isSameAlive(this.#guard)) return descendantsOf(this.#guard.pid, new Set([this.#monitor])).filter(isAlive);
    // A killed guard has left its tree to its parent.
    if (this.#parent === "subreaper") return this.#orphans();
    return this.#childEnded ? [] : descendantsOf(this.#child?.pid ?? 0).filter(isAlive);
  }

  ask(request: PoliteRequest): boolean {
    return askAll(this.list(), request);
  }

  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean {
    return signalTree(this.list(), signal, to === "all" ? undefined : this.#main);
  }

  looksEmpty(): boolean {
    return this.#guard === undefined || isProvenEmpty(system, () => this.#roots());
  }

  /** Processes reparented to the run's representative: its guard, or the guard's parent after its death. */
  #roots(): number[] {
    if (this.#guard === undefined) return [];
    if (isSameAlive(this.#guard)) return childrenOf(this.#guard.pid).filter((pid) => pid !== this.#monitor);
    if (this.#parent === "subreaper") return adoptedPids().filter((pid) => this.#mayOwn(pid));
    return this.#childEnded ? [] : childrenOf(this.#child?.pid ?? 0);
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next call looks again
      return left;
    });
    return this.#ending;
  }

  #guardCommand(marker: string, request: SpawnRequest): string[] {
    const { launcher, executor } = this.#programs;
    const tree = scriptPath("tree.sh");
    const words = [executor, marker, request.command, ...request.args];
    if (this.#parent === "subreaper") return [shell, scriptPath("guard.sh"), tree, ...words];
    return [shell, scriptPath("outer.sh"), tree, launcher, scriptPath("guard.sh"), ...words];
  }

  /** Reads the life line: pids of guard, monitor and main process first, its exit code later. */
  #listen(life: Duplex): Promise<void> {
    this.#life = life;
    return new Promise((resolve) => {
      let text = "";
      const late = systemClock.after(guardGraceMs, resolve);
      life.on("error", () => {}); // the guard is gone; its exit reports that
      life.on("close", () => {
        late.clear();
        resolve();
      });
      life.on("data", (chunk: Buffer) => {
        if (text.length > saidCharsMax) return; // not from the guard
        text += chunk.toString("latin1", 0, saidCharsMax);
        const guard = /^guard (\d+) (\d+)\n/m.exec(text);
        if (guard !== null && this.#monitor === 0) {
          this.#guard = identify(Number(guard[1]));
          this.#monitor = Number(guard[2]);
        }
        const started = /^started (\d+)\n/m.exec(text);
        if (started !== null && this.#main === 0) {
          this.#main = Number(started[1]);
          late.clear();
          resolve();
        }
        const main = /^main (\d+)\n/m.exec(text);
        if (main === null) return;
        const code = Number(main[1]);
        const signal = signalOfCode(code);
        this.#mainEnded({ code: signal === null ? code : null, signal });
      });
    });
  }

  /** Processes that a dead guard left to this process, with all their descendants. */
  #orphans(): ProcessInfo[] {
    const roots = adoptedOrphans().filter(({ pid }) => this.#mayOwn(pid));
    return roots.flatMap((root) => [root, ...descendantsOf(root.pid).filter(isAlive)]);
  }

  /**
   * Whether an adopted process is of this run. A cleared environment tells nothing: then it belongs to this or another dead
   * guard's run, and the first to ask ends it. Processes older than the guard belong to neither.
   */
  #mayOwn(pid: number): boolean {
    const began = readProcess(pid)?.startTime;
    if (began !== undefined && Number(began) < Number(this.#guard?.startTime)) return false;
    const environment = readEnvironment(pid) ?? "";
    const guarded = environment.split("\0").find((entry) => entry.startsWith(`${guardVariable}=${this.#ownerId}/`));
    if (guarded !== undefined) return guarded === `${guardVariable}=${this.#ownerId}/${this.runId}`;
    const marker = environment.split("\0").find((entry) => entry.startsWith(`${markerVariable}=`));
    return marker === undefined || marker.includes(`/${this.#ownerId}/${this.runId}`);
  }

  async #end(boundMs: number): Promise<ProcessInfo[]> {
    await this.#spawning?.catch(() => {}); // its caller gets the error
    // A guard about to start the command would do so after the look; `spawn` has given it enough time.
    const unborn = this.#main === 0 && !this.#childEnded ? readProcess(this.#child?.pid ?? 0) : undefined;
    if (unborn !== undefined) {
      killAll(system, () => [unborn, ...descendantsOf(unborn.pid)]);
      await untilTrue(() => this.#childEnded, guardGraceMs, systemClock);
    }
    const tree = {
      members: () => this.list(),
      looksEmpty: () => this.looksEmpty(),
      marked: async () => (await markerScans.soon(this.#ownerId)).get(this.runId) ?? [],
      stand: () => readProcess(this.#guard?.pid ?? 0),
    };
    const left = await endScanned(system, tree, boundMs);
    if (left.length === 0) await this.#dismissGuard();
    return left;
  }

  async #dismissGuard(): Promise<void> {
    if (this.#child === undefined || this.#childEnded) return;
    this.#life?.write("end\n");
    const ours = [this.#monitor, this.#guard?.pid ?? 0, this.#child.pid ?? 0];
    const halted = ours.some((pid) => readProcess(pid)?.state === "stopped");
    if (await untilTrue(() => this.#childEnded, halted ? 0 : guardGraceMs, systemClock)) return;
    // A stopped guard cannot end by itself; its tree is proven empty, so killing it strands nothing.
    for (const pid of ours) {
      const info = readProcess(pid);
      if (isAlive(info) && readEnvironment(pid)?.includes(`${guardVariable}=`)) signalProcess(info, "SIGKILL");
    }
    await untilTrue(() => this.#childEnded, guardGraceMs, systemClock);
  }
}

export class SubreaperFence implements Fence {
  readonly tier = "subreaper";
  readonly guardianWords = ["-", "-"];
  readonly #ownerId: string;
  readonly #programs: GuardPrograms;

  constructor(ownerId: string, programs: GuardPrograms) {
    this.#ownerId = ownerId;
    this.#programs = programs;
  }

  create(runId: string): Container {
    return new GuardedContainer(this.#programs, this.#ownerId, runId, "subreaper");
  }

  async sweep(): Promise<Swept> {
    return { ended: [], left: [] }; // sweep.ts covers guards and marked processes of other epochs on every tier
  }

  close(): void {
    // guards end with their runs: there is no fence to remove
  }
}
