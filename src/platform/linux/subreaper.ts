/**
 * The `subreaper` tier: needs no rights. Each run's command is the child of a guard (guard.sh) that the kernel hands
 * every orphan of the run to; the keeper is a subreaper above the guards, so a guard that is killed strands nothing.
 */
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Duplex } from "node:stream";
import { systemClock } from "../../clock.ts";
import { environmentEntries } from "./command-image.ts";
import { guardVariable, markerOf, markerVariable } from "../marker.ts";
import type { Fence } from "./epoch.ts";
import { scanMarkersSoon } from "./marked.ts";
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
/** The three lines that a guard says are shorter. */
const saidCharsMax = 256;
/** Time for a guard to say its first line, and to go once told; then it is ended by force. */
const guardGraceMs = 1000;

function signalOfCode(code: number): NodeJS.Signals | null {
  // A shell says 128 + n for a signal; a command that exits with such a code itself looks the same.
  if (code <= 128) return null;
  const entry = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return (entry?.[0] as NodeJS.Signals | undefined) ?? null;
}

/** A guard's parent: a keeper, which is a subreaper and takes over for a guard that dies, or else a shell that is one. */
export type GuardParent = "subreaper" | "outer-shell";

/** Paths of the programs that a guard needs. */
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
    return spawnedAs(child, exit, () => this.#main || (child.pid ?? 0));
  }

  list(): ProcessInfo[] {
    if (this.#guard === undefined) return [];
    if (isSameAlive(this.#guard)) return descendantsOf(this.#guard.pid, new Set([this.#monitor])).filter(isAlive);
    // A guard that was killed has left its tree to its parent.
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

  /** What the kernel has handed to the process that stands for the run: its guard, or the guard's parent once that is dead. */
  #roots(): number[] {
    if (this.#guard === undefined) return [];
    if (isSameAlive(this.#guard)) return childrenOf(this.#guard.pid).filter((pid) => pid !== this.#monitor);
    if (this.#parent === "subreaper") return adoptedPids().filter((pid) => this.#mayOwn(pid));
    return this.#childEnded ? [] : childrenOf(this.#child?.pid ?? 0);
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: whoever asks again has it looked at again
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

  /** What the life line says: pids of guard, monitor and main process first, its exit code later. */
  #listen(life: Duplex): Promise<void> {
    this.#life = life;
    return new Promise((resolve) => {
      let text = "";
      const late = systemClock.after(guardGraceMs, resolve);
      life.on("error", () => {}); // the guard is gone; its exit says so
      life.on("close", () => {
        late.clear();
        resolve();
      });
      life.on("data", (chunk: Buffer) => {
        if (text.length > saidCharsMax) return; // not the guard's words
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

  /** What a dead guard left to this process, with all that is below it. */
  #orphans(): ProcessInfo[] {
    const roots = adoptedOrphans().filter(({ pid }) => this.#mayOwn(pid));
    return roots.flatMap((root) => [root, ...descendantsOf(root.pid).filter(isAlive)]);
  }

  /**
   * Whether an adopted process is of this run. A cleared environment says nothing; then it is this one's or another dead
   * guard's, and is ended by whichever asks first. What began before the guard is neither's.
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
    await this.#spawning?.catch(() => {}); // its caller is told
    // A guard that has not started the command yet would do so after the look; it had its time in `spawn`.
    const unborn = this.#main === 0 && !this.#childEnded ? readProcess(this.#child?.pid ?? 0) : undefined;
    if (unborn !== undefined) {
      killAll(system, () => [unborn, ...descendantsOf(unborn.pid)]);
      await untilTrue(() => this.#childEnded, guardGraceMs);
    }
    const tree = {
      members: () => this.list(),
      looksEmpty: () => this.looksEmpty(),
      marked: async () => (await scanMarkersSoon(this.#ownerId)).get(this.runId) ?? [],
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
    if (await untilTrue(() => this.#childEnded, halted ? 0 : guardGraceMs)) return;
    // A guard that was stopped cannot go by itself; its tree is proven empty, so nothing is stranded by force.
    for (const pid of ours) {
      const info = readProcess(pid);
      if (isAlive(info) && readEnvironment(pid)?.includes(`${guardVariable}=`)) signalProcess(info, "SIGKILL");
    }
    await untilTrue(() => this.#childEnded, guardGraceMs);
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
    return { ended: [], left: [] }; // guards and marked processes of other epochs are swept on every tier: see sweep.ts
  }

  close(): void {
    // there is no fence to take down: a guard goes with its run
  }
}
