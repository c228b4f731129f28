/** One live background run: its spec, its output and when it was last used. */
import { constants } from "node:os";
import type { Clock, Timer } from "../../clock.ts";
import type { Config } from "../../config/schema.ts";
import { HoldfastError } from "../../errors.ts";
import type { EndReason, RunView } from "../protocol/messages.ts";
import {
  specLimits,
  type BackgroundSpec,
  type BackgroundView,
  type OutputStream,
  type TerminalSize,
} from "../protocol/background.ts";
import type { Run } from "../run.ts";
import { RunLease } from "./lease.ts";
import { RunOutput } from "./output.ts";
import { makeIo, TerminalIo, type RunIo } from "./run-io.ts";
import { Watchdog, type WatchdogLimits } from "./watchdog.ts";

/** How often a tree whose command has ended is looked at. */
const emptyLookMs = 1000;
/** Sizes that are remembered, so that a screen can be drawn as it was. */
const sizesMax = 100;

/** A reader in the foreground that is silent for so long is gone; one far away may be away for the run's lease. */
const readerBoundMs = 5000;

export interface LiveParts {
  clock: Clock;
  io: RunIo;
  stdout: RunOutput;
  /** Null: there is one stream. */
  stderr: RunOutput | null;
  limits: WatchdogLimits;
  keepMs: number;
}

export class LiveRun {
  readonly spec: BackgroundSpec;
  readonly io: RunIo;
  readonly keepMs: number;
  readonly sizes: ({ offset: number } & TerminalSize)[] = [];
  growing: string | null = null;
  /** Bytes of input that were taken so far. */
  inputBytes = 0;
  readonly #outputs: { stdout: RunOutput; stderr: RunOutput | null };
  readonly #over = Promise.withResolvers<RunView>();
  readonly #watchdog: Watchdog;
  readonly #clock: Clock;
  /** Of a start, input or a look, on the monotonic clock: a wall clock that jumps is no silence. */
  #activeAt: number;
  #run: Run | undefined;
  #lease: RunLease | undefined;
  #viewers = 0;
  #lastViewedAt: number | null = null;
  #lastInputAt: number | null = null;
  #emptyLook: Timer | undefined;
  #lostTimer: Timer | undefined;

  constructor(spec: BackgroundSpec, made: LiveParts) {
    this.spec = spec;
    this.#clock = made.clock;
    this.#activeAt = made.clock.monotonic();
    this.io = made.io;
    this.keepMs = made.keepMs;
    this.#outputs = { stdout: made.stdout, stderr: made.stderr };
    if (!spec.background) {
      const boundMs = Math.max(readerBoundMs, spec.leaseMs);
      made.stdout.paceBy(this.io.tap("stdout"), boundMs);
      made.stderr?.paceBy(this.io.tap("stderr"), boundMs);
    }
    if (spec.kind === "pty") this.sizes.push({ offset: 0, ...spec.size });
    this.#watchdog = new Watchdog(
      made.limits,
      made.clock,
      () => this.#lastActivityAt(),
      (reason) => this.#end(reason),
    );
  }

  /** Set once, before the run is started. */
  set run(run: Run) {
    this.#run = run;
  }

  get run(): Run {
    if (this.#run === undefined) throw new Error("a live run has its run from the beginning");
    return this.#run;
  }

  /** Resolves when the tree is gone and the row is closed. */
  get over(): Promise<RunView> {
    return this.#over.promise;
  }

  /** What is told of it besides the row. */
  figures(): { background: BackgroundView } {
    const { onFrontLoss, request } = this.spec;
    const { stdout, stderr } = this.#outputs;
    const background = {
      request,
      outputBytes: stdout.ring.printed + (stderr?.ring.printed ?? 0),
      lastOutputAt: this.#lastOutputAt(),
      lastInputAt: this.#lastInputAt,
      lastViewedAt: this.#viewers > 0 ? this.#clock.now() : this.#lastViewedAt,
      onFrontLoss,
      keepMs: this.keepMs,
      size: this.io instanceof TerminalIo ? this.io.size : null,
      growing: this.growing,
    };
    return { background };
  }

  changed(view: RunView): void {
    if (view.state === "running") this.#running(view);
    if (view.state === "stopping" || view.state === "exited") this.#disarm();
    if (view.state !== "exited") return;
    for (const output of this.#streams()) output.wake();
    this.#over.resolve(view);
  }

  output(stream: OutputStream): RunOutput | null {
    return this.#outputs[stream];
  }

  /** Joins an end that is under way; only `hurried` shortens a grace. */
  end(reason: EndReason, hurried: boolean): Promise<RunView> {
    return hurried ? this.run.kill(reason) : this.run.stop(reason);
  }

  /** Throws `invalid_params` with nothing sent. */
  signal(signal: string, to: "all" | "command"): void {
    if (!Object.hasOwn(constants.signals, signal))
      throw new HoldfastError("invalid_params", `no signal ${signal}; write it as SIGINT or SIGTERM`);
    this.run.signal(signal as NodeJS.Signals, to);
  }

  noteInput(): void {
    this.#lastInputAt = this.#clock.now();
    this.#activeAt = this.#clock.monotonic();
  }

  /** Whoever it lives for is there. False: it has no lease. */
  renew(): boolean {
    this.#lease?.renew();
    return this.#lease !== undefined;
  }

  /** Resolves with the next byte, at the end of the run, or after `waitMs`. A viewer counts as use for as long as it waits. */
  async nextOutput(output: RunOutput, waitMs: number, viewer: boolean): Promise<void> {
    if (viewer) this.#viewers += 1;
    try {
      await output.next(waitMs);
    } finally {
      if (viewer) this.#viewers -= 1;
      if (viewer) this.noteView();
    }
  }

  noteView(): void {
    this.#lastViewedAt = this.#clock.now();
    this.#activeAt = this.#clock.monotonic();
  }

  /** Throws `invalid_params` with nothing changed. */
  resize(size: TerminalSize): void {
    if (!(this.io instanceof TerminalIo))
      throw new HoldfastError("invalid_params", `run ${this.run.id} has no terminal`);
    const { columnsMax, rowsMax } = specLimits;
    if (size.columns > columnsMax || size.rows > rowsMax)
      throw new HoldfastError("invalid_params", `a terminal has at most ${columnsMax} columns and ${rowsMax} rows`);
    this.io.resize(size);
    this.sizes.push({ offset: this.#outputs.stdout.ring.printed, ...size });
    if (this.sizes.length > sizesMax) this.sizes.shift();
  }

  /** No front any more: the run has `keepMs` until there is one again. */
  frontLost(): void {
    this.#lostTimer?.clear();
    this.#lostTimer = this.#clock.after(this.keepMs, () => this.#end("front-lost"));
  }

  frontBack(): void {
    this.#lostTimer?.clear();
  }

  #running(view: RunView): void {
    // Also for a command that was over at once: what it left behind must not outlive whom it was started for.
    const { leaseMs } = this.spec;
    if (leaseMs > 0) this.#lease ??= new RunLease(leaseMs, this.#clock, () => this.#end("lease-expired"));
    if (view.leaderEndedAt === null) return this.#watchdog.start();
    // The command is gone and left something behind that is kept; the kernel tells nobody when the last of it ends.
    this.#watchdog.commandEnded();
    this.#emptyLook ??= this.#clock.every(emptyLookMs, () => this.run.reconcile());
  }

  #disarm(): void {
    this.#watchdog[Symbol.dispose]();
    this.#lease?.[Symbol.dispose]();
    for (const output of this.#streams()) output.stopPacing();
    this.#emptyLook?.clear();
    this.#lostTimer?.clear();
  }

  #end(reason: EndReason): void {
    void this.run.stop(reason); // never rejects
  }

  #streams(): RunOutput[] {
    const { stdout, stderr } = this.#outputs;
    return stderr === null ? [stdout] : [stdout, stderr];
  }

  #lastOutputAt(): number | null {
    const times = this.#streams().flatMap(({ lastAt }) => (lastAt === null ? [] : [lastAt]));
    return times.length === 0 ? null : Math.max(...times);
  }

  #lastActivityAt(): number {
    if (this.#viewers > 0) return this.#clock.monotonic();
    return Math.max(this.#activeAt, ...this.#streams().map(({ lastActivityAt }) => lastActivityAt));
  }
}

/** Throws `spawn_failed` when it needs a terminal and there is none. `fileOf`: where a stream is kept. */
export function makeLive(
  spec: BackgroundSpec,
  parts: { clock: Clock; exec: Config["exec"]; fileOf: (stream: OutputStream) => string; hangUp: () => void },
): LiveRun {
  const { clock, exec, fileOf, hangUp } = parts;
  const output = (stream: OutputStream) => new RunOutput(fileOf(stream), exec.outputBytesMax, clock);
  const streams = { stdout: output("stdout"), stderr: spec.streams === "apart" ? output("stderr") : null };
  const io = makeIo(spec, { ...streams, clock, hangUp });
  const silent = spec.kind === "pty" && spec.background ? exec.noOutputTimeoutMs : 0;
  const { timeoutMs, maxLifetimeMs } = spec;
  const limits = { timeoutMs, maxLifetimeMs, noOutputTimeoutMs: spec.noOutputTimeoutMs ?? silent };
  return new LiveRun(spec, { clock, io, ...streams, limits, keepMs: spec.keepMs ?? exec.keepMs });
}

export function unendable(id: string, survivors: RunView["survivors"]): HoldfastError {
  const who = survivors.map(({ pid, state, command }) => `pid ${pid} (${state}) ${command}`).join(", ");
  return new HoldfastError("survivors", `run ${id} could not be ended: ${who}`);
}

/** Its host cannot be asked whether anything of it is left. */
export function unproven(id: string, host: string): HoldfastError {
  const remedy = "nothing was started; try again when the host answers";
  return new HoldfastError("host_unreachable", `run ${id} on ${host} is not known to be gone; ${remedy}`);
}
