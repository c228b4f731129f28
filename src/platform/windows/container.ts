/** One run in a job of its own. Ended by the kernel as one; a marker scan afterwards finds what was started from elsewhere. */
import type { Readable, Writable } from "node:stream";
import { HoldfastError } from "../../errors.ts";
import { endFenced } from "../ending.ts";
import { markerOf } from "../marker.ts";
import {
  isAlive,
  type Container,
  type Excess,
  type MainExit,
  type PoliteRequest,
  type ProcessInfo,
  type Spawned,
  type SpawnRequest,
  type TreeLimits,
} from "../types.ts";
import { Job } from "./job.ts";
import { bootId, isConsoleHost, readProcess, timesOf } from "./processes.ts";
import { hasHiddenConsole, spawnIn, type Born } from "./spawning.ts";
import { breakGroup, killedCode, markerScans, signalProcess, system } from "./system.ts";
import { exitCodeOf } from "./waits.ts";

export class JobContainer implements Container {
  readonly runId: string;
  readonly name: string;
  readonly #ownerId: string;
  #limits: TreeLimits = {};
  #job: Job | undefined;
  #main: { readonly pid: number; readonly startTime: string } | undefined;
  /** No command may be born any more. */
  #isOver = false;
  #ending: Promise<ProcessInfo[]> | undefined;

  constructor(ownerId: string, runId: string) {
    this.#ownerId = ownerId;
    this.runId = runId;
    this.name = `job:${ownerId}/${runId}`;
  }

  holdLimits(limits: TreeLimits): void {
    this.#limits = limits;
  }

  excess(): Excess | undefined {
    return this.#job?.excess();
  }

  async spawn(request: SpawnRequest): Promise<Spawned> {
    if (this.#isOver) throw new HoldfastError("spawn_failed", `cannot start ${request.command}: its run has ended`);
    if (request.terminal !== undefined)
      throw new HoldfastError("spawn_failed", `cannot start ${request.command}: there are no terminals on Windows yet`);
    const job = new Job(this.#limits);
    let born: Born;
    try {
      born = spawnIn(job.handle, request, markerOf(this.#ownerId, this.runId));
    } catch (thrown) {
      job[Symbol.dispose]();
      throw thrown;
    }
    this.#job = job;
    const exit = this.#exitOf(born);
    const startTime = String(timesOf(born.process)?.created ?? "");
    this.#main = { pid: born.pid, startTime };
    try {
      const [stdin = null, stdout = null, stderr = null] = await Promise.all(
        born.sockets.map((socket) => socket ?? Promise.resolve(null)),
      );
      const streams: { stdin: Writable | null; stdout: Readable | null; stderr: Readable | null } = {
        stdin,
        stdout,
        stderr,
      };
      return { ...streams, ref: { pid: born.pid, startTime, bootId: bootId() }, exit, mainPid: () => born.pid };
    } catch (cause) {
      this.#kill();
      throw new HoldfastError("spawn_failed", `cannot start ${request.command}: ${String(cause)}`, { cause });
    }
  }

  /** Begins to wait in the turn of the birth, since an ended process keeps its code only as long as its handle is open. */
  async #exitOf({ process }: Born): Promise<MainExit> {
    const code = await exitCodeOf(process);
    return code === killedCode ? { code: null, signal: "SIGKILL" } : { code, signal: null };
  }

  list(): ProcessInfo[] {
    return this.#members().filter(({ pid }) => !isConsoleHost(pid));
  }

  #members(): ProcessInfo[] {
    return (this.#job?.pids() ?? []).map(readProcess).filter(isAlive);
  }

  looksEmpty(): boolean {
    return this.#job === undefined || this.#job.size === 0;
  }

  /** One event asks the whole group of the command; it is lost where the command has another console than this process. */
  ask(_request: PoliteRequest): boolean {
    if (this.#main === undefined || this.looksEmpty() || !hasHiddenConsole()) return false;
    return breakGroup(this.#main.pid);
  }

  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean {
    if (this.looksEmpty()) return false;
    if (signal === "SIGKILL" && to === "all") {
      this.#kill();
      return true;
    }
    if (signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGHUP" || signal === "SIGBREAK")
      return this.ask("terminate");
    const meant = to === "all" ? this.list() : this.list().filter(({ pid }) => pid === this.#main?.pid);
    return meant.filter((info) => signalProcess(info, signal)).length > 0;
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#isOver = true;
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next call looks again
      return left;
    });
    return this.#ending;
  }

  #kill(): void {
    this.#job?.terminate(killedCode);
  }

  async #end(boundMs: number): Promise<ProcessInfo[]> {
    const tree = {
      members: () => this.#members(),
      isPopulated: () => !this.looksEmpty(),
      kill: () => this.#kill(),
      dismissHelpers: () => Promise.resolve(),
      marked: async () => (await markerScans.soon(this.#ownerId)).get(this.runId) ?? [],
    };
    const left = await endFenced(system, tree, boundMs);
    if (left.length > 0) return left;
    this.#job?.[Symbol.dispose]();
    this.#job = undefined;
    return left;
  }
}
