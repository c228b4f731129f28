/**
 * One run as a launchd job, whose resource coalition is its fence: fork, exec, setsid and a cleared environment keep a process in
 * it. The job begins as trampoline.sh, whose coalition is known before it becomes the command.
 */
import { HoldfastError } from "../../errors.ts";
import { inTime, type Timer } from "../../clock.ts";
import { guardVariable, markerOf, markerVariable } from "../marker.ts";
import { isAlive, type Container, type MainExit, type PoliteRequest, type ProcessInfo } from "../types.ts";
import type { ProcessRef, Spawned, SpawnRequest } from "../types.ts";
import { endCoalition, isEmpty, isForeign, membersOf, type CoalitionParts } from "./coalition-tree.ts";
import { commandScript } from "./command-script.ts";
import { signalOf } from "../unix/signals.ts";
import { labelOf, type JobPlace, type JobStream } from "./job.ts";

/** Launchd starts most jobs at once, and some only when it is told. */
const kickstartMs = 1000;
const helloMs = 10_000;
/** Between two looks whether the command has ended: launchd is its parent and tells nobody. */
const exitLookMs = 50;
/** For launchd to record how it ended. */
const exitKnownMs = 2000;
/** To end what a failed spawn has left. */
const killMs = 5000;

const unknownExit: MainExit = { code: null, signal: null };

/** A terminal of this platform also has a name, by which a job opens it. */
interface NamedEnd {
  readonly path?: string;
}

/** What a spawn has made so far. */
interface Birth {
  readonly place: JobPlace;
  target?: string;
  main?: ProcessRef;
}

export class CoalitionContainer implements Container {
  readonly runId: string;
  readonly name: string;
  readonly #ownerId: string;
  readonly #parts: CoalitionParts;
  readonly #exit = Promise.withResolvers<MainExit>();
  /** Settles when a spawn has succeeded or has left nothing. */
  #spawning: Promise<void> | undefined;
  #isSpawning = false;
  /** The spawn has succeeded. */
  #isBorn = false;
  /** "go" was written. */
  #isStarted = false;
  #birth: Birth | undefined;
  #coalition: bigint | undefined;
  /** No command may be born any more. */
  #isOver = false;
  readonly #givenUp = Promise.withResolvers<undefined>();
  #looking: Timer | undefined;
  #ending: Promise<ProcessInfo[]> | undefined;

  constructor(parts: CoalitionParts, ownerId: string, runId: string) {
    this.#parts = parts;
    this.#ownerId = ownerId;
    this.runId = runId;
    this.name = `launchd:${labelOf(ownerId, runId)}`;
  }

  async spawn(request: SpawnRequest): Promise<Spawned> {
    if (this.#spawning !== undefined || this.#isOver) throw refusal(request, new Error("its run has ended or begun"));
    this.#isSpawning = true;
    const spawning = this.#spawn(request).finally(() => (this.#isSpawning = false));
    this.#spawning = spawning.then(
      () => {},
      () => {}, // the caller of `spawn` is told
    );
    return spawning;
  }

  async #spawn(request: SpawnRequest): Promise<Spawned> {
    const { files, umask } = this.#parts;
    const { command, args, env, cwd = process.cwd() } = request;
    if (!files.isDirectory(cwd)) throw refusal(request, new Error("the directory does not exist"));
    const marker = markerOf(this.#ownerId, this.runId);
    try {
      const changes = { [guardVariable]: undefined, [markerVariable]: marker };
      const script = commandScript({ command, args, cwd, env, umask }, changes);
      const streams = streamsOf(request);
      const label = labelOf(this.#ownerId, this.runId);
      const birth: Birth = { place: files.make({ label, name: this.runId, streams }) };
      this.#birth = birth;
      return await this.#begin(birth, label, script);
    } catch (cause) {
      await this.#abandon();
      throw refusal(request, cause);
    }
  }

  /** From the property list to "go". Before "go" nothing of the command exists, and the kernel's name of its fence is on record. */
  async #begin(birth: Birth, label: string, script: Uint8Array): Promise<Spawned> {
    const { system, xnu, launchd } = this.#parts;
    const { place } = birth;
    birth.target = await launchd.bootstrap(label, place.propertyList);
    const pid = await this.#greeting(place, birth.target);
    const info = system.processes.read(pid);
    const coalition = xnu.coalition(pid);
    if (!isAlive(info) || coalition === undefined) throw new Error("its job ended before the command began");
    if (!isForeign(this.#parts, coalition)) throw new Error("launchd gave its job no coalition of its own");
    this.#coalition = coalition;
    place.record({ coalition, boot: xnu.bootSession() });
    const { startTime, bootId } = info;
    birth.main = { pid, startTime, bootId };
    const streams = place.openStreams();
    this.#isBorn = true;
    if (!this.#isOver) {
      place.go(script);
      this.#isStarted = true;
    }
    this.#looking = system.clock.every(exitLookMs, () => this.#lookAtMain());
    return { ...streams, ref: birth.main, exit: this.#exit.promise, mainPid: () => pid };
  }

  /** Pid of the trampoline. */
  async #greeting({ hello }: JobPlace, target: string): Promise<number> {
    const { system, launchd } = this.#parts;
    const coming = Promise.race([hello, this.#givenUp.promise]);
    let pid = await inTime(system.clock, coming, kickstartMs, 0);
    if (pid === 0) {
      await launchd.kickstart(target);
      pid = await inTime(system.clock, coming, helloMs, 0);
    }
    if (pid === undefined) throw new Error("its run was ended");
    if (pid !== 0) return pid;
    const job = await launchd.find(target);
    throw new Error(
      `launchd did not start its job within ${(kickstartMs + helloMs) / 1000} s (state: ${job?.state ?? "gone"})`,
    );
  }

  /** Leaves nothing of a spawn that failed, as far as launchd answers. */
  async #abandon(): Promise<void> {
    const { launchd, xnu } = this.#parts;
    const target = this.#birth?.target;
    if (target !== undefined && this.#coalition === undefined) {
      // The trampoline may live without having said so.
      const job = await launchd.find(target).catch(() => undefined); // it is unloaded all the same
      const coalition = job?.coalition ?? (job?.pid === undefined ? undefined : xnu.coalition(job.pid));
      if (coalition !== undefined && isForeign(this.#parts, coalition)) this.#coalition = coalition;
    }
    await this.#endJob(killMs);
  }

  #lookAtMain(): void {
    const main = this.#birth?.main;
    const now = main && this.#parts.system.processes.read(main.pid);
    if (isAlive(now) && now.startTime === main?.startTime) return;
    this.#looking?.clear();
    this.#looking = undefined;
    if (this.#isStarted) void this.#readExit().then(this.#exit.resolve); // never rejects
    else this.#exit.resolve({ code: null, signal: "SIGKILL" }); // the command never was
  }

  /** Launchd's record, which may come a moment after the end. */
  async #readExit(): Promise<MainExit> {
    const { launchd, system } = this.#parts;
    const { target = "", main } = this.#birth ?? {};
    const deadline = system.clock.monotonic() + exitKnownMs;
    while (system.clock.monotonic() < deadline) {
      try {
        const job = await launchd.find(target);
        if (job === undefined) return unknownExit;
        if (job.pid !== main?.pid && job.exit !== undefined) return job.exit;
      } catch {
        // launchd gives no answer: asked again
      }
      await system.clock.sleep(exitLookMs);
    }
    return unknownExit;
  }

  list(): ProcessInfo[] {
    return this.#isBorn ? this.#members() : [];
  }

  #members(): ProcessInfo[] {
    return this.#coalition === undefined ? [] : membersOf(this.#parts, this.#coalition);
  }

  looksEmpty(): boolean {
    if (this.#coalition === undefined) return !this.#isSpawning;
    return isEmpty(this.#parts, this.#coalition);
  }

  ask(request: PoliteRequest): boolean {
    const isAsked = this.signal(signalOf(request), "all");
    // A stopped process cannot react to the loss of its terminal.
    if (request === "hangup") this.signal("SIGCONT", "all");
    return isAsked;
  }

  signal(signal: NodeJS.Signals, to: "all" | "main"): boolean {
    const meant = this.list().filter(({ pid }) => to === "all" || pid === this.#birth?.main?.pid);
    return meant.filter((info) => this.#parts.system.signal(info, signal)).length > 0;
  }

  end(boundMs: number): Promise<ProcessInfo[]> {
    this.#isOver = true;
    this.#ending ??= this.#end(boundMs).then((left) => {
      if (left.length > 0) this.#ending = undefined; // no proof yet: the next call looks again
      return left;
    });
    return this.#ending;
  }

  async #end(boundMs: number): Promise<ProcessInfo[]> {
    const { clock } = this.#parts.system;
    if (this.#isSpawning) {
      // It comes to its fence, without "go", or gives up.
      const settled = this.#spawning?.then(() => true) ?? Promise.resolve(true);
      if (!(await inTime(clock, settled, boundMs, false))) this.#givenUp.resolve(undefined);
      await settled;
    }
    return this.#endJob(boundMs);
  }

  async #endJob(boundMs: number): Promise<ProcessInfo[]> {
    const { system, launchd, scans } = this.#parts;
    const { place, target } = this.#birth ?? {};
    // A trampoline without "go" ends at that.
    if (!this.#isBorn) place?.remove();
    if (this.#coalition !== undefined) {
      const marked = async () => (await scans.soon(this.#ownerId)).get(this.runId) ?? [];
      const left = await endCoalition(this.#parts, this.#coalition, marked, boundMs);
      if (left.length > 0) return left;
    }
    if (this.#isBorn) {
      if (this.#looking !== undefined) this.#lookAtMain();
      // Launchd forgets it with the job.
      await inTime(system.clock, this.#exit.promise, exitKnownMs, undefined);
    }
    // A job that stays loaded is empty, and the next sweep unloads it.
    if (target !== undefined) await launchd.bootout(target);
    place?.remove();
    return [];
  }
}

function streamsOf({
  terminal,
  stdin = "pipe",
  stdout = "pipe",
  stderr = "pipe",
}: SpawnRequest): [JobStream, JobStream, JobStream] {
  if (terminal !== undefined) {
    const { path } = terminal as NamedEnd;
    if (path === undefined) throw new Error("its terminal has no name that a job could open");
    return [{ terminal: path }, { terminal: path }, { terminal: path }];
  }
  const kinds = [stdin, stdout, stderr] as const;
  return kinds.map((kind): JobStream => {
    if (kind === "inherit") throw new Error("a launchd job cannot inherit a stream: use pipes");
    return kind;
  }) as [JobStream, JobStream, JobStream];
}

function refusal({ command, cwd }: Pick<SpawnRequest, "command" | "cwd">, cause: unknown): HoldfastError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = cwd === undefined ? "" : ` in ${cwd}`;
  return new HoldfastError("spawn_failed", `cannot start ${command}${where}: ${reason}`, { cause });
}
