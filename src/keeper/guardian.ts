/** Keeps one guardian alive: the sh that ends everything of this epoch when the keeper is gone. */
import { spawn, type ChildProcess } from "node:child_process";
import { registerChild } from "../contain/own-children.ts";
import { readProcess } from "../contain/processes.ts";
import { scriptPath } from "../contain/shell.ts";
import { HoldfastError } from "../errors.ts";
import { StreamTail, type CrashRecords } from "./crashes.ts";
import { RestartIntensity } from "./intensity.ts";

/** Time for a shell to say that it is there. */
const readyBoundMs = 5000;
const dismissBoundMs = 2000;
const restartsMax = 20;
const restartWindowMs = 60_000;

export interface GuardianParts {
  /** What marks this epoch's runs: `/<owner id>/r<epoch>-`. */
  marker: string;
  fence: string;
  home: string;
  crashes: CrashRecords;
  onRestart: () => void;
  /** The guardian cannot be kept alive: without it nothing may be started. */
  onGivenUp: (error: HoldfastError) => void;
}

export class Guardian {
  readonly #parts: GuardianParts;
  readonly #intensity = new RestartIntensity(restartsMax, restartWindowMs);
  #child: ChildProcess | undefined;
  #front: string | undefined;
  #dismissed = false;
  restarts = 0;

  constructor(parts: GuardianParts) {
    this.#parts = parts;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  identity(): { pid: number; startTime: string } {
    return { pid: this.pid, startTime: readProcess(this.pid)?.startTime ?? "" };
  }

  /** Resolves when the guardian is on watch. */
  async start(): Promise<void> {
    const { marker, fence, home } = this.#parts;
    const args = [scriptPath("guardian.sh"), scriptPath("tree.sh"), marker, fence, home];
    const child = spawn("/bin/sh", args, {
      windowsHide: true,
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: { PATH: "/usr/bin:/bin" },
    });
    registerChild(child);
    this.#child = child;
    const stderr = new StreamTail();
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {}); // it is gone; its exit tells
    const ready = Promise.withResolvers<void>();
    const late = setTimeout(
      () => ready.reject(new HoldfastError("spawn_failed", "the guardian does not answer")),
      readyBoundMs,
    );
    child.stdout.once("data", () => ready.resolve());
    child.once("error", (cause) => ready.reject(new HoldfastError("spawn_failed", "no guardian", { cause })));
    child.once("exit", (exitCode, signal) => {
      ready.reject(new HoldfastError("spawn_failed", `the guardian ended at once: ${stderr.text().trim()}`));
      this.#ended(child.pid ?? 0, exitCode, signal, stderr.text());
    });
    try {
      await ready.promise;
    } finally {
      clearTimeout(late);
    }
    if (this.#front !== undefined) child.stdin.write(this.#front);
  }

  /** Names the front, which must not outlive the keeper even when it is stopped. */
  watchFront(pid: number): void {
    this.#front = `front ${pid} ${readProcess(pid)?.startTime ?? "0"}\n`;
    this.#child?.stdin?.write(this.#front);
  }

  /** Orderly end: everything is gone already, so there is nothing to do for it. */
  async dismiss(): Promise<void> {
    this.#dismissed = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => child.kill("SIGKILL"), dismissBoundMs);
      child.once("exit", () => {
        clearTimeout(late);
        resolve();
      });
      child.stdin?.end("done\n");
    });
  }

  #ended(pid: number, exitCode: number | null, signal: NodeJS.Signals | null, stderr: string): void {
    if (this.#dismissed) return;
    this.#parts.crashes.record({ who: "guardian", why: "died", pid, exitCode, signal }, stderr);
    if (!this.#intensity.allows(Date.now())) {
      this.#parts.onGivenUp(new HoldfastError("spawn_failed", `the guardian died ${restartsMax} times in a minute`));
      return;
    }
    this.restarts += 1;
    this.start().then(this.#parts.onRestart, () => {}); // a failed start comes back here as an exit
  }
}
