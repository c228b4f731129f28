/** Keeps one guardian alive: the sh that ends everything of this epoch when the keeper is gone. */
import { spawn, type ChildProcess } from "node:child_process";
import type { Clock } from "../clock.ts";
import { registerChild } from "../platform/linux/own-children.ts";
import { readProcess } from "../platform/linux/processes.ts";
import { spareDescriptors } from "../platform/linux/spare-descriptors.ts";
import { scriptPath, shellEnvironment } from "../platform/linux/shell.ts";
import { HoldfastError } from "../errors.ts";
import { StreamTail, type CrashRecords } from "./crashes.ts";
import { RestartIntensity } from "./intensity.ts";
import { Supervisor, type Helper, type HelperEnd, type SupervisorState } from "./supervisor.ts";

/** Time for a shell to say that it is there. */
const readyBoundMs = 5000;
const dismissBoundMs = 2000;
const restartsMax = 20;
const restartWindowMs = 60_000;
/** How long a start waits for a guardian that is being replaced; a shell takes some 10 ms. */
const patienceMs = 2000;

export interface GuardianParts {
  clock: Clock;
  /** What marks this epoch's runs: `/<owner id>/r<epoch>-`. */
  marker: string;
  fence: string;
  home: string;
  /** What the keeper has given to the children of the cgroup above. */
  controllers?: readonly string[];
  crashes: CrashRecords;
  /** The program that runs guardian.sh; by default the system's shell. */
  shell?: string | undefined;
  onRestart: () => void;
  /** The operating system starts none, and why. It is tried again. */
  onRefused: (why: string) => void;
  /** The guardian cannot be kept alive: without it nothing may be started. */
  onGivenUp: (error: HoldfastError) => void;
}

interface GuardianLife extends Helper {
  readonly child: ChildProcess;
  readonly stderr: StreamTail;
}

export class Guardian {
  readonly #parts: GuardianParts;
  readonly #supervisor: Supervisor<GuardianLife>;
  #front: string | undefined;
  /** The one that was started last. */
  #last: GuardianLife | undefined;
  #hasServed = false;

  constructor(parts: GuardianParts) {
    this.#parts = parts;
    this.#supervisor = new Supervisor<GuardianLife>({
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

  /** 0 = none lives. */
  get pid(): number {
    return this.#supervisor.helper?.pid ?? 0;
  }

  get restarts(): number {
    return Math.max(0, this.#supervisor.restarts);
  }

  get state(): SupervisorState {
    return this.#supervisor.state;
  }

  /** Why none could be started the last time; null = one was. */
  get problem(): string | null {
    return this.#supervisor.problem;
  }

  identity(): { pid: number; startTime: string } {
    return { pid: this.pid, startTime: readProcess(this.pid)?.startTime ?? "" };
  }

  /** Resolves when the guardian is on watch. Throws `spawn_failed` when the first one cannot be started. */
  async start(): Promise<void> {
    this.#supervisor.start();
    if (await this.#supervisor.whenServing(readyBoundMs)) return;
    const why = this.problem ?? (this.#last?.stderr.text().trim() || "it does not answer");
    throw new HoldfastError("spawn_failed", `the guardian cannot be started: ${why}`);
  }

  /** Throws `guardian_down` while none is on watch: what is started then could outlive this keeper. Undefined: one is. */
  mustWatch(): Promise<void> | undefined {
    return this.state === "serving" ? undefined : this.#waitForOne();
  }

  async #waitForOne(): Promise<void> {
    if (await this.#supervisor.whenServing(patienceMs)) return;
    const why = this.problem === null ? "" : ` (${this.problem})`;
    const message = `no guardian is on watch${why}, so nothing is started; one is tried again every second: see \`holdfast status\`, and try again`;
    throw new HoldfastError("guardian_down", message);
  }

  /** Names the front, which must not outlive the keeper even when it is stopped. */
  watchFront(pid: number): void {
    this.#front = `front ${pid} ${readProcess(pid)?.startTime ?? "0"}\n`;
    if (this.state === "serving") this.#supervisor.helper?.child.stdin?.write(this.#front);
  }

  /** Orderly end: everything is gone already, so there is nothing to do for it. */
  dismiss(): Promise<void> {
    return this.#supervisor.close("done");
  }

  #spawn(onEnd: (end: HelperEnd) => void): GuardianLife {
    const { marker, fence, home, controllers = [], shell = "/bin/sh" } = this.#parts;
    const args = [scriptPath("guardian.sh"), scriptPath("tree.sh"), marker, fence, home, ...controllers];
    const child = spareDescriptors.lend(() =>
      spawn(shell, args, {
        windowsHide: true,
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
        env: shellEnvironment(),
      }),
    );
    registerChild(child);
    const pid = child.pid ?? 0;
    child.on("error", (error) => {
      // One that lives has such an error too: of a signal that did not reach it.
      if (pid === 0) onEnd({ exitCode: null, signal: null, refused: error.message });
    });
    child.once("exit", (exitCode, signal) => onEnd({ exitCode, signal, refused: null }));
    return {
      pid,
      child,
      stderr: new StreamTail(),
      drain: () => child.stdin?.end("done\n"),
      kill: () => void child.kill("SIGKILL"),
    };
  }

  #started(life: GuardianLife): void {
    this.#last = life;
    const { child, stderr } = life;
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin?.on("error", () => {}); // it is gone; its exit tells
    const late = this.#parts.clock.after(readyBoundMs, () => life.kill());
    child.once("exit", () => late.clear());
    child.stdout?.once("data", () => {
      late.clear();
      this.#watches(life);
    });
  }

  #watches({ child }: GuardianLife): void {
    this.#supervisor.serves();
    if (this.state !== "serving") return; // dismissed meanwhile
    if (this.#front !== undefined) child.stdin?.write(this.#front);
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
