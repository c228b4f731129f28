/** The background commands and terminals of one keeper: start, input, output, wait and end. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { RunView } from "../../protocol/run.ts";
import {
  waitMsMax,
  type BackgroundSpec,
  type Outcome,
  type OutputEnd,
  type OutputStream,
  type OutputView,
  type RequestedRun,
} from "../../protocol/background.ts";
import type { Config } from "../../config/schema.ts";
import { HoldfastError } from "../../errors.ts";
import type { Ledger } from "../ledger.ts";
import type { Log } from "../log.ts";
import type { KeeperSources } from "../own-process.ts";
import { mustBeGone, unendable } from "../../protocol/keeper/run-errors.ts";
import type { OperationParams } from "../../protocol/keeper/runner.ts";
import type { Launch } from "../launch.ts";
import type { RunTable } from "../run-table.ts";
import type { Run } from "../run.ts";
import { runView } from "../../protocol/keeper/run-view.ts";
import { StartRules } from "./start-rules.ts";
import type { AskPerson } from "./consent.ts";
import { GrowthWatch } from "./growth.ts";
import { KeyedMutex } from "../../keyed-mutex.ts";
import { captureParts, type CaptureIo } from "./capture-io.ts";
import { OutputRing } from "./output-ring.ts";
import { pieceOf } from "./output.ts";
import { unknownRun, type Resolved } from "./policy.ts";
import { commandOf, Requests } from "./requests.ts";
import { PipeIo } from "./pipe-io.ts";
import { TerminalIo } from "./terminal-io.ts";

export interface BackgroundParts extends Pick<KeeperSources, "clock" | "platform"> {
  config: Config;
  table: RunTable;
  ledger: Ledger;
  log: Log;
  runsDirectory: string;
  /** Set on a node, which has its own lists and whose person may overrule them. */
  node?: { askPerson: AskPerson | undefined } | undefined;
}

const noOutput = { offset: 0, bytes: "", printed: 0 };

export class BackgroundRuns {
  readonly #parts: BackgroundParts;
  /** By scope key, also between two fronts. */
  readonly #mutex = new KeyedMutex();
  readonly #requests: Requests;
  readonly #rules: StartRules;
  /** Of every run, including servers. */
  readonly #growth: GrowthWatch;
  /** Of runs that ended in this epoch, to draw their last screen. */
  readonly #endedSizes = new Map<string, OutputView["sizes"]>();

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
    const onGrowing = (run: string, what: string) => {
      parts.log.warn({ event: "run.growing", run, what });
      const grown = parts.table.get(run);
      if (grown !== undefined) grown.growing = what;
    };
    const { leaseMaxMs } = parts.config.node;
    this.#rules = new StartRules(parts.config.exec, parts.node && { ...parts.node, leaseMaxMs });
    this.#requests = new Requests(parts.ledger, () => this.#live);
    const { clock, platform, table } = parts;
    this.#growth = new GrowthWatch({ clock, processes: platform.processes, runs: () => table.live(), onGrowing });
  }

  /** The gateway is ending; the run table ends its runs. */
  close(): void {
    this.#growth[Symbol.dispose]();
  }

  /**
   * Throws `exec_disabled`, `exec_refused`, `invalid_params`, `request_reused`, `run_limit`, `scope_replaced`, `spawn_failed`,
   * with nothing started.
   */
  start(spec: BackgroundSpec): Promise<RunView> {
    if (spec.request === null) return this.#start(spec);
    return this.#requests.once(spec.request, commandOf(spec), () => this.#start(spec));
  }

  async #start(spec: BackgroundSpec): Promise<RunView> {
    const resolved = await this.#rules.resolve(spec);
    if (spec.scopeKey === null || !spec.replaceExistingScope) return this.#launch(spec, resolved);
    const key = JSON.stringify([spec.sessionId, spec.scopeKey]);
    return this.#mutex.run(key, async () => {
      const replaced = await this.#endScope(spec.sessionId, spec.scopeKey);
      const run = await this.#launch(spec, resolved);
      const told = { session: spec.sessionId, scopeKey: spec.scopeKey ?? "", run: run.id };
      for (const old of replaced) this.#parts.log.info({ event: "scope.replaced", ...told, replaced: old });
      return run;
    });
  }

  async read(params: OperationParams<"read">): Promise<OutputView> {
    const { run: id, stream, offset, bytesMax, waitMs, viewer, pace } = params;
    const live = this.#find(id);
    if (live === undefined) return this.#readEnded(params);
    const { run, capture } = live;
    if (viewer) capture.noteView();
    const output = capture.output(stream);
    if (output === null) return { ...noOutput, run: await this.wait({ run: id, waitMs }), sizes: capture.sizes };
    if (pace) output.readTo(offset);
    if (output.ring.printed <= offset) await capture.nextOutput(output, Math.min(waitMs, waitMsMax), viewer);
    // It may have ended during the wait.
    if (run.state === "exited") return this.#readEnded(params);
    return { ...pieceOf(output.ring, offset, bytesMax), run: run.summary(), sizes: capture.sizes };
  }

  /** Throws `input_full`, `input_gap`, `run_ended`, with nothing accepted. */
  write({ run, bytes, at, end }: OperationParams<"write">): { inputBytes: number } {
    const { capture } = this.#mustLive(run);
    const inputBytes = capture.write(Buffer.from(bytes, "base64"), at);
    if (end && capture instanceof PipeIo) capture.endInput();
    return { inputBytes };
  }

  resize({ run, size }: OperationParams<"resize">): null {
    this.#mustLive(run).capture.resize(size);
    return null;
  }

  signal({ run, signal, to }: OperationParams<"signal">): null {
    this.#mustLive(run).run.signal(signal, to);
    return null;
  }

  /** Returns an ended run as it ended. */
  async end({ run, reason, hurried }: OperationParams<"end">): Promise<RunView> {
    const live = this.#find(run)?.run.end(reason, hurried);
    return live ?? (await this.#parts.table.leftovers.end(run)) ?? this.#ended(run);
  }

  async wait({ run: id, waitMs }: OperationParams<"wait">): Promise<RunView> {
    const live = this.#find(id);
    if (live === undefined) return this.#ended(id);
    const late = Promise.withResolvers<RunView>();
    const give = () => late.resolve(live.run.summary());
    const timer = this.#parts.clock.after(Math.min(waitMs, waitMsMax), give);
    return Promise.race([live.run.ended, late.promise]).finally(() => timer.clear());
  }

  async outcome({ run: id, waitMs, bytesMax }: OperationParams<"outcome">): Promise<Outcome> {
    const run = await this.wait({ run: id, waitMs });
    const last = (stream: OutputStream) => {
      const live = this.#find(id);
      if (live === undefined) return this.#endedPiece(id, stream, -bytesMax, bytesMax);
      return pieceOf(live.capture.output(stream)?.ring, -bytesMax, bytesMax);
    };
    return { run, stdout: last("stdout"), stderr: last("stderr") };
  }

  async remove({ run, end }: OperationParams<"remove">): Promise<null> {
    const live = this.#find(run);
    if (live !== undefined) {
      if (!end)
        throw new HoldfastError("run_alive", `run ${run} has not ended; end it first, or remove it with its end`);
      const { survivors } = await live.run.end("cancelled");
      if (survivors.length > 0) throw unendable({ id: run, survivors });
    }
    const { survivors = [] } = (await this.#parts.table.leftovers.end(run)) ?? {};
    if (survivors.length > 0) throw unendable({ id: run, survivors });
    this.#ended(run);
    this.#forget(run);
    return null;
  }

  /** Runs of every kind; `all` includes remembered ended runs. */
  async list({ all }: { all: boolean }): Promise<RunView[]> {
    await this.#parts.table.reconcile();
    return this.#parts.table.list(all);
  }

  /** Live runs that belong to a session. */
  owners(): { run: string; sessionId: string }[] {
    return this.#live.flatMap(({ id, row: { sessionId } }) => (sessionId === null ? [] : [{ run: id, sessionId }]));
  }

  renew(): { runs: number } {
    return { runs: this.#live.filter(({ timers }) => timers?.renew()).length };
  }

  requests(): RequestedRun[] {
    return this.#requests.list();
  }

  /** The front is gone: the leases of remaining runs start. The run table ends the others. */
  frontLost(): void {
    for (const { timers } of this.#live) timers?.frontLost();
  }

  frontBack(): void {
    for (const { timers } of this.#live) timers?.frontBack();
  }

  get #live(): Run[] {
    return this.#parts.table.live().filter(({ capture }) => capture !== undefined);
  }

  async #launch(spec: BackgroundSpec, resolved: Resolved): Promise<RunView> {
    const { table, config } = this.#parts;
    const { exec } = config;
    const silentMs = spec.kind === "pty" && spec.background ? exec.noOutputTimeoutMs : 0;
    const { timeoutMs, maxLifetimeMs, leaseMs, noOutputTimeoutMs, keepMs } = spec;
    const times = { timeoutMs, maxLifetimeMs, leaseMs };
    const prepare: Launch["prepare"] = (id, _channel, { hangUp }) => ({
      io: this.#makeIo(id, spec, hangUp),
      keepsDescendants: spec.descendants !== "reap",
      times: { ...times, noOutputTimeoutMs: noOutputTimeoutMs ?? silentMs, keepMs: keepMs ?? exec.keepMs },
    });
    const { kind, sessionId, scopeKey, onFrontLoss, limits } = spec;
    const named = { kind, server: null, sessionId, scopeKey, requestId: spec.request, command: commandOf(spec) };
    const run = await table.launch({
      ...named,
      onFrontLoss,
      limits,
      blob: "",
      request: resolved,
      place: (container, remote) => remote.placeCommand(container, resolved),
      prepare,
      onChange: (changed) => this.#changed(changed),
    });
    return run.summary();
  }

  /** Throws `spawn_failed` when no terminal is available for a run that needs one. */
  #makeIo(id: string, spec: BackgroundSpec, hangUp: () => void): CaptureIo {
    const { clock, config, platform } = this.#parts;
    const parts = captureParts(spec, clock, config.exec, (stream) => this.#file(id, stream), hangUp);
    const io = spec.kind === "pty" ? new TerminalIo(parts, spec.size, platform) : new PipeIo(parts, spec.stdin);
    if (!spec.background) io.pace(spec.leaseMs);
    return io;
  }

  #changed({ id, state, capture }: Run): void {
    if (state !== "exited") return;
    this.#endedSizes.set(id, capture?.sizes ?? []);
    this.#trim();
  }

  async #endScope(sessionId: string | null, scopeKey: string | null): Promise<string[]> {
    const old = this.#live.filter(({ row }) => row.sessionId === sessionId && row.scopeKey === scopeKey);
    const views = await Promise.all(old.map((run) => run.end("scope-replaced")));
    views.push(...(await this.#parts.table.leftovers.endScope(sessionId, scopeKey)));
    for (const view of views) mustBeGone(view);
    return views.map(({ id }) => id);
  }

  #find(id: string): { run: Run; capture: CaptureIo } | undefined {
    const run = this.#parts.table.get(id);
    return run?.capture === undefined ? undefined : { run, capture: run.capture };
  }

  #mustLive(id: string): { run: Run; capture: CaptureIo } {
    const live = this.#find(id);
    if (live !== undefined) return live;
    const { endReason } = this.#ended(id);
    throw new HoldfastError("run_ended", `run ${id} has ended (${endReason ?? "exited"})`);
  }

  #ended(id: string): RunView {
    const row = this.#parts.ledger.find(id);
    if (row === undefined || row.kind === "mcp") throw unknownRun(id, this.#parts.config.exec);
    return this.#parts.table.leftovers.find(id) ?? runView(row);
  }

  #readEnded({ run: id, stream, offset, bytesMax }: OperationParams<"read">): OutputView {
    const run = this.#ended(id);
    return { ...this.#endedPiece(id, stream, offset, bytesMax), run, sizes: this.#endedSizes.get(id) ?? [] };
  }

  #endedPiece(id: string, stream: OutputStream, offset: number, bytesMax: number): OutputEnd {
    const ring = OutputRing.open(this.#file(id, stream));
    const piece = pieceOf(ring, offset, bytesMax);
    ring?.close();
    return piece;
  }

  #file(id: string, stream: OutputStream): string {
    return join(this.#parts.runsDirectory, `${id}.${stream === "stdout" ? "out" : "err"}`);
  }

  #forget(id: string): void {
    this.#parts.ledger.forget(id, this.#parts.clock.now());
    this.#endedSizes.delete(id);
    for (const stream of ["stdout", "stderr"] as const) rmSync(this.#file(id, stream), { force: true });
  }

  /** Bounds the records and output of ended runs. */
  #trim(): void {
    for (const id of this.#parts.ledger.backgroundBeyond(this.#parts.config.exec.historyMax)) this.#forget(id);
  }
}
