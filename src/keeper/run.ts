/** One run: a container, a ledger row and the relay of its stdio, from before the spawn until the proof of empty. */
import { readProcess, type ProcessInfo } from "../platform/linux/processes.ts";
import { watchLimits } from "../platform/limit-watch.ts";
import { signalProcess } from "../platform/linux/signals.ts";
import type { ContainedProcess, LeaderExit, SpawnRequest } from "../platform/types.ts";
import { asHoldfastError } from "../errors.ts";
import type { LedgerRow } from "./ledger.ts";
import { transition } from "./lifecycle.ts";
import { RepeatedEnd } from "./repeated-end.ts";
import type { RunLaunch, RunParts } from "./run-parts.ts";
import { rowView, viewProcess } from "./run-view.ts";
import type { EndReason, ProcessView, RunKind, RunState, RunView } from "./protocol/messages.ts";
import { LineRelay } from "./relay.ts";
import { StopSequence } from "../platform/stop-sequence.ts";

export class Run {
  readonly channel: number;
  readonly onFrontLoss: "keep" | "kill";
  blob: string;
  relay: LineRelay | undefined;
  readonly #launch: RunLaunch;
  readonly #row: LedgerRow;
  readonly #parts: RunParts;
  #process: ContainedProcess | undefined;
  #leaderExit: LeaderExit | undefined;
  #survivors: ProcessView[] = [];
  #spawning: Promise<void> = Promise.resolve();
  #sequence: StopSequence | undefined;
  #hurried = false;
  #limitWatch: Disposable | undefined;
  #stopping: Promise<RunView> | undefined;
  /** Set while something is left that could not be ended. */
  #again: RepeatedEnd | undefined;

  constructor(channel: number, row: LedgerRow, parts: RunParts, launch: RunLaunch) {
    this.channel = channel;
    this.#row = row;
    this.#parts = parts;
    this.onFrontLoss = launch.onFrontLoss;
    this.blob = launch.blob;
    this.#launch = launch;
  }

  get id(): string {
    return this.#row.id;
  }

  /** The config does not mean it any more. */
  get isOutdated(): boolean {
    return this.#launch.isOutdated?.() ?? false;
  }

  get kind(): RunKind {
    return this.#row.kind;
  }

  get state(): RunState {
    return this.#row.state;
  }

  /** Intent first, then the process. A refusal of the system closes the row as `spawn-failed` and is thrown. */
  async start(request: SpawnRequest): Promise<void> {
    try {
      this.#parts.ledger.intend(this.#row);
    } catch (thrown) {
      await this.stop("spawn-failed");
      throw thrown;
    }
    let refused: unknown;
    this.#parts.container.holdLimits?.(this.#parts.limits);
    this.#spawning = this.#parts.container.spawn(request).then(
      (contained) => this.#spawned(contained),
      (thrown: unknown) => {
        refused = thrown;
      },
    );
    await this.#spawning;
    if (refused !== undefined) {
      await this.stop("spawn-failed");
      throw asHoldfastError(refused, "spawn_failed");
    }
    // A stop that came meanwhile has the word.
    if (this.#stopping !== undefined) return;
    this.#enter("running");
    const { limits, container: watched } = this.#parts;
    this.#limitWatch = watchLimits(watched, limits, (what) => {
      this.#parts.onExcess(this, what);
      void this.kill("limit-exceeded"); // never rejects
    });
  }

  /**
   * Ends the run; the first reason stands. Resolves on proof of empty, or with the survivors named in the view. Asked again
   * it joins, and shortens no grace; once it has resolved with survivors it looks again.
   */
  stop(reason: EndReason): Promise<RunView> {
    if (this.state === "exited") return Promise.resolve(this.summary());
    this.#stopping ??= this.#stop(reason);
    return this.#again === undefined ? this.#stopping : this.#lookAgain(this.#again);
  }

  /** Ends without the graces. */
  kill(reason: EndReason): Promise<RunView> {
    const stopping = this.stop(reason);
    this.#hurry();
    return stopping;
  }

  /** Joins a stop that is under way, without shortening it. */
  whenEnded(): Promise<RunView> | undefined {
    return this.#stopping;
  }

  /** To every process of the run, or to its command only. Nothing happens when nobody is there. */
  signal(signal: NodeJS.Signals, to: "all" | "command"): void {
    const { container } = this.#parts;
    // Of a run on another machine nobody here knows the command's pid.
    if (to === "all" || container.lost !== undefined) return container.signal(signal);
    const command = container.members().find(({ pid }) => pid === this.#process?.leaderPid());
    if (command !== undefined) signalProcess(command, signal);
  }

  members(): ProcessInfo[] {
    return this.#parts.container.members();
  }

  /** The run as the kernel shows it now. */
  view(): RunView {
    const processes = this.state === "exited" ? [] : this.#parts.container.members().map(viewProcess);
    return { ...this.summary(), processes };
  }

  /** The run without its processes: costs no look at the system. */
  summary(): RunView {
    const figures = this.state === "exited" ? {} : this.#parts.figures?.();
    return {
      ...rowView(this.#row),
      ...figures,
      pid: this.#process?.leaderPid() ?? this.#row.pid,
      survivors: this.#survivors,
    };
  }

  #hurry(): void {
    this.#hurried = true;
    this.#sequence?.hurry();
  }

  #spawned(contained: ContainedProcess): void {
    this.#process = contained;
    const { child } = contained;
    const { errorLog, io } = this.#parts;
    if (io === undefined) {
      child.stderr?.on("data", (chunk: Buffer) => errorLog?.write(chunk));
      this.relay = new LineRelay(this.channel, child, () => void this.kill("limit-exceeded"));
    } else io.begin(contained);
    const pid = child.pid ?? 0;
    const info = readProcess(pid);
    Object.assign(this.#row, { pid, startTime: info?.startTime ?? null, processGroup: info?.processGroup ?? null });
    this.#parts.ledger.spawned(this.id, pid, info?.startTime ?? "", info?.processGroup ?? 0);
    void contained.leaderExit.then((exit) => this.#leaderEnded(exit)); // never rejects
  }

  async #stop(reason: EndReason): Promise<RunView> {
    this.#row.endReason = reason;
    this.#limitWatch?.[Symbol.dispose]();
    this.#enter("stopping");
    // What is being started cannot be ended yet; the spawn itself is bounded.
    await this.#spawning;
    const { io, graces: given } = this.#parts;
    const graces = { ...given };
    if (this.#process === undefined || io?.hasInput === false) graces.stdinGraceMs = 0;
    if (this.#process === undefined) graces.termGraceMs = 0;
    this.#sequence = new StopSequence(
      this.#parts.container,
      graces,
      () => (io === undefined ? this.relay?.endStdin() : io.endInput()),
      () => this.#leaderExit !== undefined,
    );
    if (this.#hurried) this.#sequence.hurry();
    const left = await this.#sequence.run();
    const { owed } = this.#parts.container;
    if (owed !== undefined) this.#lose(owed, left);
    else await this.#settle(left);
    return this.summary();
  }

  /** Nobody can look where the run was, so it is not exited; it is once a later look has proven that nothing is left. */
  #lose(owed: Promise<void>, left: ProcessInfo[]): void {
    this.#noteSurvivors(left);
    this.#enter("lost");
    void owed.then(() => this.#settle(left)); // never rejects
  }

  /** Nothing left: it is exited. Else it stays `stopping`, on record with what is left, and its end is tried again. */
  async #settle(left: ProcessInfo[]): Promise<void> {
    const { container, io, clock } = this.#parts;
    if (left.length === 0) {
      // The leader's exit event may come a turn after the kernel's "empty"; its code belongs into the row.
      if (this.#process !== undefined) this.#leaderExit ??= await this.#process.leaderExit;
      await io?.drained();
      this.#survivors = [];
      return this.#finalize();
    }
    this.#noteSurvivors(left);
    if (this.state === "lost") this.#enter("stopping");
    this.#parts.ledger.changed(this.#row);
    this.#parts.onChange(this);
    this.#again = new RepeatedEnd({
      clock,
      attempt: (boundMs) => container.end(boundMs),
      onLeft: (still) => {
        this.#noteSurvivors(still);
        this.#parts.onChange(this);
      },
      onGone: () => {
        this.#again = undefined;
        return this.#settle([]);
      },
    });
  }

  #noteSurvivors(left: ProcessInfo[]): void {
    this.#survivors = left.map(viewProcess);
    this.#row.survivors =
      left.length === 0 ? null : JSON.stringify(left.map(({ pid, startTime }) => ({ pid, startTime })));
  }

  async #lookAgain(again: RepeatedEnd): Promise<RunView> {
    await again.ask();
    return this.summary();
  }

  /** The keeper ends: what is left is on record, and the next start goes on with it. */
  leave(): void {
    this.#again?.[Symbol.dispose]();
  }

  #leaderEnded(exit: LeaderExit): void {
    this.#leaderExit = exit;
    this.#row.leaderEndedAt = this.#parts.clock.now();
    if (this.#stopping !== undefined) return;
    // The kernel ends a tree for its memory sooner than any look sees it.
    const excess = this.#parts.container.excess?.();
    if (excess !== undefined) {
      this.#parts.onExcess(this, excess);
      void this.stop("limit-exceeded");
      return;
    }
    if (this.#parts.keepsDescendants === true && !this.#parts.container.looksEmpty()) {
      this.#parts.ledger.changed(this.#row);
      this.#parts.onChange(this);
      return;
    }
    // What the command left behind ends with it.
    this.#endedByItself(exit);
  }

  /** Before a list is told, and for a tree whose command has ended: a run of which nothing lives is ended. */
  reconcile(): void {
    if (this.state !== "running" || this.#stopping !== undefined || !this.#parts.container.looksEmpty()) return;
    if (this.#leaderExit !== undefined) this.#endedByItself(this.#leaderExit);
  }

  #endedByItself(exit: LeaderExit): void {
    const cause = exit.signal === null ? "exited" : "signaled";
    void this.stop(this.#parts.container.lost === true ? "node-lost" : cause);
  }

  #finalize(): void {
    const { ledger, errorLog, io, clock } = this.#parts;
    errorLog?.close();
    io?.close();
    Object.assign(this.#row, {
      endedAt: clock.now(),
      exitCode: this.#leaderExit?.code ?? null,
      signal: this.#leaderExit?.signal ?? null,
      state: transition(this.#row.state, "exited"),
    });
    ledger.ended(this.#row);
    this.#parts.onChange(this);
  }

  #enter(state: RunState): void {
    this.#row.state = transition(this.#row.state, state);
    this.#parts.ledger.changed(this.#row);
    this.#parts.onChange(this);
  }
}
