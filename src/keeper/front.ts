/** Keeps one front alive: forks it without rights, hears it, and restarts it when it dies. */
import { fork, type ChildProcess } from "node:child_process";
import { extname } from "node:path";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { registerChild } from "../contain/own-children.ts";
import { readProcess } from "../contain/processes.ts";
import { HoldfastError } from "../errors.ts";
import { StreamTail, type CrashRecords } from "./crashes.ts";
import { baseEnvironment } from "../contain/environment.ts";
import { FrontWatch } from "./front-watch.ts";
import type { FrontVoice } from "./front-voice.ts";
import { RestartIntensity } from "./intensity.ts";
import type { Log } from "./log.ts";
import { CreditMeter, SendWindow } from "./protocol/flow.ts";
import { FrameReader, type Frame } from "./protocol/frames.ts";
import { dataDescriptor } from "./protocol/link.ts";
import type { CrashView, KeeperMessage } from "./protocol/messages.ts";
import type { FrontPort } from "./relay.ts";

export interface FrontParts {
  frontDirectory: string;
  crashes: CrashRecords;
  log: Log;
  voice: FrontVoice;
  intensity: RestartIntensity;
  /** Time for a front that was told to drain; then it is killed. */
  drainBoundMs: number;
  /** The program of the front; by default the gateway's. */
  entry?: string | undefined;
  /** Silence after which a front is stuck, in milliseconds; 0 = it never is. */
  stuckMs: number;
  /** How long a gateway goes on without a front that serves, in milliseconds. */
  keepMs: number;
  onStart: (front: FrontProcess) => void;
  onMessage: (message: unknown, front: FrontProcess) => void;
  onFrame: (frame: Frame) => void;
  /** The front is gone; `planned` when this keeper ended it. */
  onEnd: (crash: CrashView | undefined) => Promise<void>;
  onGivenUp: (error: HoldfastError) => void;
}

/** One life of the front. */
export interface FrontProcess {
  pid: number;
  epoch: number;
  port: FrontPort;
  /** It has exited: what still comes from it was said before. */
  gone: boolean;
  tell(message: KeeperMessage): void;
}

/** What the front may not do is refused by Node itself: no child process, no worker, no addon, one directory to write. */
function frontFlags(frontDirectory: string): string[] {
  // The small young generation keeps memory flat over many sessions; V8 would grow it for a rush and keep it.
  const flags = [
    "--max-semi-space-size=2",
    "--permission",
    "--allow-fs-read=*",
    `--allow-fs-write=${frontDirectory}`,
    "--disable-sigusr1",
  ];
  if (process.allowedNodeEnvironmentFlags.has("--allow-net")) flags.push("--allow-net");
  return [...flags, "--disable-warning=ExperimentalWarning", "--disable-warning=SecurityWarning"];
}

export class FrontSupervisor {
  readonly #parts: FrontParts;
  #child: ChildProcess | undefined;
  #watch: FrontWatch | undefined;
  /** Why this keeper ended a front that was stuck. */
  #stuck: string | undefined;
  /** Of the front that is to be replaced: its record, and since when nobody serves. */
  #lost: { crash: CrashView; at: number } | undefined;
  /** Runs while no front serves, from the first one's end on. */
  #keeping: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();
  #epoch = 0;
  #planned = false;
  #closed = false;
  lastMethod: string | null = null;
  restarts = 0;

  constructor(parts: FrontParts) {
    this.#parts = parts;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  start(): void {
    const { frontDirectory, log } = this.#parts;
    const gateway = new URL(`../gateway/main${extname(import.meta.url)}`, import.meta.url);
    const child = fork(this.#parts.entry ?? fileURLToPath(gateway), [], {
      execArgv: frontFlags(frontDirectory),
      env: baseEnvironment(),
      serialization: "json",
      stdio: ["ignore", "pipe", "pipe", "ipc", "pipe"],
      windowsHide: true,
    });
    registerChild(child);
    this.#child = child;
    this.#epoch += 1;
    this.#planned = false;
    this.lastMethod = null;
    this.#stuck = undefined;
    const stderr = new StreamTail();
    for (const stream of [child.stdout, child.stderr]) {
      const voice = this.#parts.voice.listen(child.pid ?? 0);
      stream?.on("data", voice.hear).once("end", voice.end);
    }
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    const front = this.#wire(child);
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    child.once("error", (error) => log.error({ event: "front.error", error: error.message }));
    child.once("exit", (code, signal) => {
      this.#exited(child.pid ?? 0, code, signal, stderr.text()).then(ended.resolve, ended.reject);
    });
    this.#watch = this.#watchOver(child);
    this.#parts.onStart(front);
  }

  /** This front serves now: closes the account of the one that crashed before it. */
  serves(): void {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    if (this.#lost === undefined) return;
    const { crash, at } = this.#lost;
    this.#lost = undefined;
    const downMs = Math.round(performance.now() - at);
    this.#parts.crashes.recovered(crash, downMs);
    this.#parts.log.warn({ event: "front.restarted", pid: this.pid, restarts: this.restarts, downMs });
  }

  /** The longest that this process's own loop was late since this was asked last, in milliseconds. */
  takeLagMs(): number {
    const lagMs = this.#watch?.lagMs ?? 0;
    if (this.#watch !== undefined) this.#watch.lagMs = 0;
    return lagMs;
  }

  /** Ends this front and starts another one. Resolves when the old one is gone and what had to end with it has. */
  async restart(): Promise<void> {
    await this.#end("restart");
    this.restarts += 1;
    if (!this.#closed) this.start();
  }

  /** Ends the front for good. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#keeping);
    await this.#end("shutdown");
  }

  tell(message: KeeperMessage): void {
    // A front that died between two lines is told by its exit.
    if (this.#child?.connected === true) this.#child.send(message, () => {});
  }

  async #end(reason: string): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return this.#ended;
    this.#planned = true;
    this.#watch?.[Symbol.dispose]();
    this.tell({ type: "drain", reason });
    const late = setTimeout(() => child.kill("SIGKILL"), this.#parts.drainBoundMs);
    await this.#ended.finally(() => clearTimeout(late));
  }

  #watchOver(child: ChildProcess): FrontWatch {
    const pid = child.pid ?? 0;
    const onStuck = (silentMs: number, state: string) => {
      this.#stuck = `no sign for ${(silentMs / 1000).toFixed(1)} s (state ${state})`;
      this.#parts.log.error({ event: "front.stuck", pid, silentMs, state, lastMethod: this.lastMethod });
      child.kill("SIGKILL");
    };
    const watch = new FrontWatch({ stuckMs: this.#parts.stuckMs, look: () => readProcess(pid), onStuck });
    child.on("message", () => watch.heard());
    watch.start();
    return watch;
  }

  #wire(child: ChildProcess): FrontProcess {
    const pipe = child.stdio[dataDescriptor] as Socket;
    pipe.on("error", () => {}); // the front is gone; its exit tells
    const reader = new FrameReader((frame) => this.#parts.onFrame(frame));
    pipe.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#parts.log.error({ event: "front.refused", what: "frame", error: String(error) });
        child.kill("SIGKILL");
      }
    });
    const tell = (message: KeeperMessage) => {
      if (child.connected) child.send(message, () => {}); // see tell() above
    };
    const meter = new CreditMeter((channel, bytes) => tell({ type: "credit", channel, bytes }));
    const front: FrontProcess = {
      pid: child.pid ?? 0,
      epoch: this.#epoch,
      port: { pipe, window: new SendWindow(), meter },
      gone: false,
      tell,
    };
    child.once("exit", () => {
      front.gone = true;
      // What it left in the pipe is not for the servers: nobody is there for the answers, and the last line may be half.
      pipe.destroy();
    });
    child.on("message", (message) => this.#parts.onMessage(message, front));
    return front;
  }

  async #exited(pid: number, exitCode: number | null, signal: NodeJS.Signals | null, stderr: string): Promise<void> {
    const planned = this.#planned;
    this.#watch?.[Symbol.dispose]();
    const why = this.#stuck === undefined ? ("died" as const) : ("stuck" as const);
    const { lastMethod } = this;
    const crash = { who: "front" as const, pid, why, detail: this.#stuck ?? null, exitCode, signal, lastMethod };
    const view = planned ? undefined : this.#parts.crashes.record(crash, stderr);
    // When fronts die before they serve, nobody served since the first of them.
    if (view !== undefined) this.#lost = { crash: view, at: this.#lost?.at ?? performance.now() };
    if (!this.#closed) this.#keeping ??= setTimeout(() => this.#nobodyServes(), this.#parts.keepMs);
    const settled = this.#parts.onEnd(view);
    if (!planned && !this.#closed) this.#again();
    // A crashed front is replaced at once; what ends with it ends beside that.
    await settled;
  }

  #nobodyServes(): void {
    const message = `no front served within limits.keepMs = ${this.#parts.keepMs}; see \`holdfast crashes\` and the gateway's log`;
    this.#parts.onGivenUp(new HoldfastError("internal", message));
  }

  #again(): void {
    if (this.#parts.intensity.allows(Date.now())) {
      this.restarts += 1;
      this.start();
      return;
    }
    this.#parts.onGivenUp(
      new HoldfastError("internal", "the front died too often; see `holdfast status` and the crashes directory"),
    );
  }
}
