/** The guardian as a launchd job that is started again whenever it is killed. Its keeper's end makes it end the epoch. */
import { inTime, type Timer } from "../../clock.ts";
import { isAlive, type HelperExit, type ProcessRef, type Watchdog } from "../types.ts";
import type { CoalitionParts } from "./coalition-tree.ts";
import { guardianName, labelOf, type GuardianPlace } from "./job.ts";

/** Launchd starts most jobs at once, and some only when it is told. */
const kickstartMs = 1000;
/** Between two looks whether it is there. */
const lookMs = 500;
/** After its end: launchd starts a job again at most every 10 s (ThrottleInterval of launchd.plist). */
const restartMs = 15_000;
/** For it to end after "done". */
const dismissMs = 1500;

export class CoalitionGuardian implements Watchdog {
  readonly stdout = null;
  readonly stderr = null;
  readonly ready: Promise<void>;
  readonly exit: Promise<HelperExit>;
  readonly #parts: CoalitionParts;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exit = Promise.withResolvers<HelperExit>();
  #place: GuardianPlace | undefined;
  #target: string | undefined;
  #main: ProcessRef | undefined;
  #front: ProcessRef | undefined;
  #goneSinceMs: number | undefined;
  #looking: Timer | undefined;
  #starting: Promise<void>;
  #stopping: Promise<void> | undefined;
  #isOver = false;

  constructor(parts: CoalitionParts, ownerId: string, epoch: number) {
    this.#parts = parts;
    this.ready = this.#ready.promise;
    this.exit = this.#exit.promise;
    this.#starting = this.#start(labelOf(ownerId, guardianName(epoch)), guardianName(epoch));
  }

  /** 0 until it has said so. */
  get pid(): number {
    return this.#main?.pid ?? 0;
  }

  get isRunning(): boolean {
    return !this.#isOver;
  }

  async #start(label: string, name: string): Promise<void> {
    const { files, launchd, system } = this.#parts;
    try {
      // Of a guardian that launchd has given up.
      files.remove(name);
      const place = files.makeGuardian(label, name);
      this.#place = place;
      place.onHello((pid) => this.#greet(pid));
      this.#target = await launchd.bootstrap(label, place.propertyList);
      await inTime(system.clock, this.ready, kickstartMs, undefined);
      if (this.#main === undefined && this.#stopping === undefined) await launchd.kickstart(this.#target);
      this.#looking = system.clock.every(lookMs, () => this.#look());
    } catch (thrown) {
      this.#place?.remove();
      if (this.#target !== undefined) await launchd.bootout(this.#target);
      const refused = thrown instanceof Error ? thrown.message : String(thrown);
      this.#end({ code: null, signal: null, refused });
    }
  }

  /** At its first start, and at each further one. */
  #greet(pid: number): void {
    const info = this.#parts.system.processes.read(pid);
    if (!isAlive(info)) return;
    const { startTime, bootId } = info;
    this.#main = { pid, startTime, bootId };
    this.#goneSinceMs = undefined;
    if (this.#front !== undefined) this.guard(this.#front);
    this.#ready.resolve();
  }

  #isThere(): boolean {
    const now = this.#main && this.#parts.system.processes.read(this.#main.pid);
    return isAlive(now) && now.startTime === this.#main?.startTime;
  }

  #look(): void {
    if (this.#main === undefined || this.#isThere()) return;
    const now = this.#parts.system.clock.monotonic();
    this.#goneSinceMs ??= now;
    if (now - this.#goneSinceMs >= restartMs) this.#stop(0);
  }

  guard(front: ProcessRef): void {
    this.#front = front;
    this.#place?.tell(`front ${front.pid} ${front.startTime}`);
  }

  dismiss(): void {
    this.#place?.tell("done");
    this.#stop(dismissMs);
  }

  signal(): void {
    this.#stop(0);
  }

  #stop(graceMs: number): void {
    this.#stopping ??= this.#stopOnce(graceMs);
    void this.#stopping; // never rejects
  }

  async #stopOnce(graceMs: number): Promise<void> {
    const { launchd, system } = this.#parts;
    await this.#starting;
    this.#looking?.clear();
    if (this.#isOver) return;
    const deadline = system.clock.monotonic() + graceMs;
    while (this.#isThere() && system.clock.monotonic() < deadline) await system.clock.sleep(10);
    const isDone = graceMs > 0 && !this.#isThere();
    // First unloaded: to one that still listens, a closed line would be its keeper's end.
    if (this.#target !== undefined) await launchd.bootout(this.#target);
    this.#place?.remove();
    this.#end(isDone ? { code: 0, signal: null, refused: null } : { code: null, signal: "SIGKILL", refused: null });
  }

  #end(exit: HelperExit): void {
    this.#isOver = true;
    this.#exit.resolve(exit);
  }
}
