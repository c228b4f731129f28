/** One run of any kind: a container, a ledger row, input and output, from before the spawn until the proof of empty. */
import type { BackgroundView, EndReason, RunKind, RunState, RunView } from "../protocol/run.ts";
import { watchLimits } from "./limit-watch.ts";
import { isSignal } from "../platform/self/index.ts";
import type { MainExit, ProcessInfo, Spawned, SpawnRequest } from "../platform/types.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import { CaptureIo } from "./background/capture-io.ts";
import type { LedgerRow } from "./ledger-row.ts";
import { LineRelay } from "./relay.ts";
import { RepeatedEnd } from "./repeated-end.ts";
import type { RunLaunch, RunParts } from "./run-parts.ts";
import { RunRecord, viewProcess } from "./run-record.ts";
import { RunTimers } from "./run-timers.ts";
import { StopSequence } from "../platform/stop-sequence.ts";

export class Run {
  readonly channel: number;
  /** Handoff state of the front, for its successor. */
  blob: string;
  /** The most frequent command and its count, while the number of processes keeps growing. */
  growing: string | null = null;
  /** Set for background runs. */
  readonly timers: RunTimers | undefined;
  readonly #launch: RunLaunch;
  readonly #record: RunRecord;
  readonly #parts: RunParts;
  #process: Spawned | undefined;
  readonly #ended = Promise.withResolvers<RunView>();
  #mainExit: MainExit | undefined;
  #spawning: Promise<void> = Promise.resolve();
  #sequence: StopSequence | undefined;
  #hurried = false;
  #limitWatch: Disposable | undefined;
  #ending: Promise<RunView> | undefined;
  /** Set while there are survivors. */
  #again: RepeatedEnd | undefined;

  constructor(channel: number, row: LedgerRow, parts: RunParts, launch: RunLaunch) {
    this.channel = channel;
    this.#record = new RunRecord(row, parts.ledger, parts.processes, parts.onChange);
    this.#parts = parts;
    this.blob = launch.blob;
    this.#launch = launch;
    const { times, clock } = parts;
    this.timers =
      times &&
      new RunTimers(times, {
        clock,
        lastActivityAt: () => this.capture?.lastActivityAt ?? 0,
        onOver: (reason) => void this.end(reason), // never rejects
        look: () => this.reconcile(),
      });
  }

  get id(): string {
    return this.#record.row.id;
  }

  /** Whether the config has changed or removed this run's server. */
  get isOutdated(): boolean {
    return this.#launch.isOutdated?.() ?? false;
  }

  get row(): Readonly<LedgerRow> {
    return this.#record.row;
  }

  get onFrontLoss(): "keep" | "kill" {
    return this.#launch.onFrontLoss;
  }

  /** Set for MCP runs. */
  get relay(): LineRelay | undefined {
    const { io } = this.#parts;
    return io instanceof LineRelay ? io : undefined;
  }

  /** Set for background runs. */
  get capture(): CaptureIo | undefined {
    const { io } = this.#parts;
    return io instanceof CaptureIo ? io : undefined;
  }

  /** Resolves when the tree is gone and the row is closed. */
  get ended(): Promise<RunView> {
    return this.#ended.promise;
  }

  get kind(): RunKind {
    return this.#record.row.kind;
  }

  get state(): RunState {
    return this.#record.row.state;
  }

  /** Intent first, then the process. If the system refuses, the row is closed as `spawn-failed` and the error thrown. */
  async start(request: SpawnRequest): Promise<void> {
    try {
      this.#record.intend();
    } catch (thrown) {
      await this.end("spawn-failed");
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
      await this.end("spawn-failed");
      throw asHoldfastError(refused, "spawn_failed");
    }
    // A concurrent end wins.
    if (this.#ending !== undefined) return;
    this.#record.enter("running");
    this.timers?.start();
    if (this.#mainExit !== undefined) this.timers?.commandEnded();
    const { clock, limits, container: watched } = this.#parts;
    this.#limitWatch = watchLimits(watched, limits, clock, (excess) => {
      this.#parts.onExcess(excess);
      void this.end("limit-exceeded", true); // never rejects
    });
  }

  /**
   * Ends the run; the first reason stands. Resolves on proof of empty, or with the survivors in the view. A later call joins,
   * or looks again after an end with survivors. Only `hurried` shortens a grace.
   */
  end(reason: EndReason, hurried = false): Promise<RunView> {
    if (this.state === "exited") return Promise.resolve(this.summary());
    this.#ending ??= this.#end(reason);
    if (hurried) this.#hurry();
    return this.#again === undefined ? this.#ending : this.#lookAgain(this.#again);
  }

  /** Joins an end under way without changing it. */
  whenEnded(): Promise<RunView> | undefined {
    return this.#ending;
  }

  /** Signals every process of the run, or its command only. Does nothing to an empty run. Throws `invalid_params`. */
  signal(signal: string, to: "all" | "command"): void {
    if (!isSignal(signal))
      throw new HoldfastError("invalid_params", `no signal ${signal}; write it as SIGINT or SIGTERM`);
    this.#parts.container.signal(signal, to === "all" ? "all" : "main");
  }

  members(): ProcessInfo[] {
    return this.#parts.container.list();
  }

  /** The run with its processes as the kernel shows them now. */
  view(): RunView {
    const processes =
      this.state === "exited"
        ? []
        : this.#parts.container.list().map((info) => viewProcess(info, this.#parts.processes));
    return { ...this.summary(), processes };
  }

  /** The run without its processes, and without a look at the system. */
  summary(): RunView {
    const view = this.#record.view();
    const silentSince = this.state === "exited" ? null : (this.#parts.container.silentSince ?? null);
    return {
      ...view,
      background: this.#background(),
      pid: this.#process === undefined ? view.pid : (this.#process.mainPid() ?? null),
      silentSince,
    };
  }

  #background(): BackgroundView | null {
    const { capture } = this;
    const { times } = this.#parts;
    if (capture === undefined || times === undefined || this.state === "exited") return null;
    const { onFrontLoss, growing } = this;
    return { request: this.row.requestId, ...capture.view(), onFrontLoss, keepMs: times.keepMs, growing };
  }

  #hurry(): void {
    this.#hurried = true;
    this.#sequence?.hurry();
  }

  #spawned(contained: Spawned): void {
    this.#process = contained;
    this.#parts.io.begin(contained);
    this.#record.spawned(contained.ref);
    void contained.exit.then((exit) => this.#mainEnded(exit)); // never rejects
  }

  async #end(reason: EndReason): Promise<RunView> {
    this.#record.row.endReason = reason;
    this.#limitWatch?.[Symbol.dispose]();
    this.timers?.[Symbol.dispose]();
    this.capture?.stopPacing();
    this.#record.enter("stopping");
    // A start cannot be interrupted; the spawn itself is bounded.
    await this.#spawning;
    const { io, graces: given } = this.#parts;
    const graces = { ...given };
    if (this.#process === undefined || !io.hasInput) graces.stdinGraceMs = 0;
    if (this.#process === undefined) graces.termGraceMs = 0;
    const endStdin = () => io.endInput();
    const hasMainEnded = () => this.#mainExit !== undefined;
    this.#sequence = new StopSequence({ ...this.#parts, graces, endStdin, hasMainEnded });
    if (this.#hurried) this.#sequence.hurry();
    const left = await this.#sequence.run();
    const { owed } = this.#parts.container;
    if (owed !== undefined) this.#lose(owed, left);
    else await this.#settle(left);
    return this.summary();
  }

  /** The run's host is unreachable: it becomes `exited` once a later look proves it empty. */
  #lose(owed: Promise<void>, left: ProcessInfo[]): void {
    this.#record.noteSurvivors(left);
    this.#record.enter("lost");
    void owed.then(() => this.#settle(left)); // never rejects
  }

  /** `exited` if everything is gone; otherwise it stays `stopping` with its survivors on record, and its end is retried. */
  async #settle(left: ProcessInfo[]): Promise<void> {
    const { container, io, clock } = this.#parts;
    if (left.length === 0) {
      // The exit event may arrive a turn after the kernel's "empty"; the row needs its code.
      if (this.#process !== undefined) this.#mainExit ??= await this.#process.exit;
      await io.drained();
      io.close();
      this.#record.exited(this.#mainExit, clock.now());
      return this.#ended.resolve(this.summary());
    }
    this.#record.noteSurvivors(left);
    if (this.state === "lost") this.#record.enter("stopping");
    else this.#record.changed();
    this.#again = new RepeatedEnd({
      clock,
      attempt: (boundMs) => container.end(boundMs),
      onLeft: (still) => {
        this.#record.noteSurvivors(still);
        this.#record.changed();
      },
      onGone: () => {
        this.#again = undefined;
        return this.#settle([]);
      },
    });
  }

  async #lookAgain(again: RepeatedEnd): Promise<RunView> {
    await again.ask();
    return this.summary();
  }

  /** The keeper is ending: survivors are on record for the next start. */
  leave(): void {
    this.#again?.[Symbol.dispose]();
  }

  #mainEnded(exit: MainExit): void {
    this.#mainExit = exit;
    this.#record.row.leaderEndedAt = this.#parts.clock.now();
    if (this.#ending !== undefined) return;
    // The kernel ends a tree for its memory before any look sees it.
    const excess = this.#parts.container.excess?.();
    if (excess !== undefined) {
      this.#parts.onExcess(excess);
      void this.end("limit-exceeded");
      return;
    }
    if (this.#parts.keepsDescendants === true && !this.#parts.container.looksEmpty()) {
      if (this.state === "running") this.timers?.commandEnded();
      return this.#record.changed();
    }
    // Descendants end with the command.
    this.#endedByItself(exit);
  }

  /** Ends the run if it is empty: before a list is returned, and after its command has ended. */
  reconcile(): void {
    if (this.state !== "running" || this.#ending !== undefined || !this.#parts.container.looksEmpty()) return;
    if (this.#mainExit !== undefined) this.#endedByItself(this.#mainExit);
  }

  #endedByItself(exit: MainExit): void {
    const cause = exit.signal === null ? "exited" : "signaled";
    void this.end(this.#parts.container.lost === true ? "node-lost" : cause);
  }
}
