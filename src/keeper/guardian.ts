/** Keeps one guardian alive, which ends everything of this epoch once the keeper is gone. */
import type { Clock } from "../clock.ts";
import type { Platform, ProcessRef, Watchdog } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import { StreamTail, type CrashRecords } from "./crashes.ts";
import { RestartIntensity } from "./intensity.ts";
import { Supervised, Supervisor, type Helper, type HelperEnd } from "./supervisor.ts";

/** Time for the shell to report ready. */
const readyBoundMs = 5000;
const dismissBoundMs = 2000;
const restartsMax = 20;
const restartWindowMs = 60_000;
/** Time that a start waits for a guardian being replaced; a shell takes about 10 ms. */
const patienceMs = 2000;

export interface GuardianParts {
  clock: Clock;
  platform: Platform;
  spawn: () => Watchdog;
  crashes: CrashRecords;
  onRestart: () => void;
  /** The operating system refuses to start one, with the reason. It is retried. */
  onRefused: (why: string) => void;
  /** The guardian cannot be kept alive: without it starts are refused. */
  onGivenUp: (error: HoldfastError) => void;
}

interface GuardianLife extends Helper {
  readonly watchdog: Watchdog;
  readonly stderr: StreamTail;
}

export class Guardian extends Supervised<GuardianLife> {
  readonly #parts: GuardianParts;
  protected readonly supervisor: Supervisor<GuardianLife>;
  #front: ProcessRef | undefined;
  /** The most recently started one. */
  #last: GuardianLife | undefined;
  #hasServed = false;

  constructor(parts: GuardianParts) {
    super();
    this.#parts = parts;
    this.supervisor = new Supervisor<GuardianLife>({
      spawn: (onEnd) => this.#spawn(onEnd),
      clock: parts.clock,
      drainBoundMs: dismissBoundMs,
      intensity: new RestartIntensity(restartsMax, restartWindowMs),
      onStart: (life) => this.#started(life),
      onEnd: (end, planned) => this.#ended(end, planned),
      onGivenUp: () =>
        parts.onGivenUp(new HoldfastError("spawn_failed", `the guardian died ${restartsMax} times in a minute`)),
    });
  }

  identity(): { pid: number; startTime: string } {
    return { pid: this.pid, startTime: this.#parts.platform.identify(this.pid)?.startTime ?? "" };
  }

  /** Resolves when the guardian is on watch. Throws `spawn_failed` when the first one cannot be started. */
  async start(): Promise<void> {
    this.supervisor.start();
    if (await this.supervisor.whenServing(readyBoundMs)) return;
    const why = this.problem ?? (this.#last?.stderr.text().trim() || "it does not answer");
    throw new HoldfastError("spawn_failed", `the guardian cannot be started: ${why}`);
  }

  /** Throws `guardian_down` without a guardian: new processes could outlive this keeper. Undefined: one is on watch. */
  mustWatch(): Promise<void> | undefined {
    return this.state === "serving" ? undefined : this.#waitForOne();
  }

  async #waitForOne(): Promise<void> {
    if (await this.supervisor.whenServing(patienceMs)) return;
    const why = this.problem === null ? "" : ` (${this.problem})`;
    const message = `no guardian is on watch${why}, so nothing is started; one is tried again every second: see \`holdfast status\`, and try again`;
    throw new HoldfastError("guardian_down", message);
  }

  /** Names the front, which must not outlive the keeper even when stopped. */
  watchFront(pid: number): void {
    this.#front = this.#parts.platform.identify(pid);
    if (this.#front !== undefined && this.state === "serving") this.supervisor.helper?.watchdog.guard(this.#front);
  }

  /** Orderly end: everything is gone, so it has nothing to do. */
  dismiss(): Promise<void> {
    return this.supervisor.close("done");
  }

  #spawn(onEnd: (end: HelperEnd) => void): GuardianLife {
    const watchdog = this.#parts.spawn();
    const stderr = new StreamTail();
    watchdog.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    void watchdog.exit.then(({ code, signal, refused }) => onEnd({ exitCode: code, signal, refused })); // never rejects
    return {
      // A job of launchd tells it late, and has another one after each restart.
      get pid() {
        return watchdog.pid;
      },
      watchdog,
      stderr,
      drain: () => watchdog.dismiss(),
      kill: () => watchdog.signal("kill"),
    };
  }

  #started(life: GuardianLife): void {
    this.#last = life;
    const { exit, ready } = life.watchdog;
    const late = this.#parts.clock.after(readyBoundMs, () => life.kill());
    void exit.then(() => late.clear()); // never rejects
    void ready.then(() => {
      late.clear();
      this.#watches(life);
    }); // never rejects
  }

  #watches({ watchdog }: GuardianLife): void {
    this.supervisor.serves();
    if (this.state !== "serving") return; // already dismissed
    if (this.#front !== undefined) watchdog.guard(this.#front);
    if (this.#hasServed) this.#parts.onRestart();
    this.#hasServed = true;
  }

  #ended({ exitCode, signal, refused }: HelperEnd, planned: boolean): void {
    if (refused !== null) return this.#parts.onRefused(refused);
    if (planned || this.#last === undefined) return;
    const { pid, stderr } = this.#last;
    this.#parts.crashes.record({ who: "guardian", why: "died", pid, exitCode, signal }, stderr.text());
  }
}
