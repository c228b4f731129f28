/** Background commands and terminals of one keeper: started by the rules of the config, fed, read, waited for and ended. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/schema.ts";
import { HoldfastError } from "../../errors.ts";
import type { Ledger } from "../ledger.ts";
import type { Log } from "../log.ts";
import {
  specLimits,
  waitMsMax,
  type BackgroundRequests,
  type BackgroundSpec,
  type Outcome,
  type OutputEnd,
  type OutputStream,
  type OutputView,
  type RequestedRun,
} from "../protocol/background.ts";
import type { RunView } from "../protocol/messages.ts";
import type { Launch } from "../launch.ts";
import type { RunTable } from "../run-table.ts";
import type { Run } from "../run.ts";
import { rowView } from "../run-view.ts";
import { Admission } from "./admission.ts";
import type { AskPerson } from "./consent.ts";
import { GrowthWatch } from "./growth.ts";
import { Lanes } from "../../lanes.ts";
import { makeLive, unendable, unproven, type LiveRun } from "./live-run.ts";
import { OutputRing } from "./output-ring.ts";
import { pieceOf } from "./output.ts";
import { unknownRun, type Resolved } from "./policy.ts";
import { commandOf, Requests } from "./requests.ts";
import { PipeIo } from "./run-io.ts";

export interface BackgroundParts {
  clock: Clock;
  config: Config;
  table: RunTable;
  ledger: Ledger;
  log: Log;
  runsDirectory: string;
  /** This is a node: the lists are its own, and a person may overrule them. */
  node?: { askPerson: AskPerson | undefined } | undefined;
}

type Params<N extends keyof BackgroundRequests> = BackgroundRequests[N]["params"];

export class BackgroundRuns {
  readonly #parts: BackgroundParts;
  readonly #live = new Map<string, LiveRun>();
  readonly #lanes = new Lanes();
  readonly #requests: Requests;
  readonly #admission: Admission;
  /** Of every run, servers' too. */
  readonly #growth: GrowthWatch;
  /** Of runs that ended in this epoch, for whoever wants to see their last screen. */
  readonly #endedSizes = new Map<string, OutputView["sizes"]>();

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
    const onGrowing = (run: string, what: string) => {
      parts.log.warn({ event: "run.growing", run, what });
      const live = this.#live.get(run);
      if (live !== undefined) live.growing = what;
    };
    const { leaseMaxMs } = parts.config.node;
    this.#admission = new Admission(parts.config.exec, parts.node && { ...parts.node, leaseMaxMs });
    this.#requests = new Requests(parts.ledger, this.#live);
    this.#growth = new GrowthWatch({ clock: parts.clock, runs: () => parts.table.live(), onGrowing });
  }

  /** The gateway ends; its runs are the table's to end. */
  close(): void {
    this.#growth[Symbol.dispose]();
  }

  /**
   * Throws `exec_disabled`, `exec_refused`, `invalid_params`, `request_reused`, `run_limit`, `scope_replaced`, `spawn_failed`;
   * then nothing was started.
   */
  start(spec: BackgroundSpec): Promise<RunView> {
    if (spec.request === null) return this.#start(spec);
    return this.#requests.once(spec.request, commandOf(spec), () => this.#start(spec));
  }

  async #start(spec: BackgroundSpec): Promise<RunView> {
    const resolved = await this.#admission.resolve(spec);
    if (spec.scopeKey === null || !spec.replaceExistingScope) return this.#launch(spec, resolved);
    const key = JSON.stringify([spec.sessionId, spec.scopeKey]);
    return this.#lanes.pass(key, async () => {
      const replaced = await this.#endScope(spec.sessionId, spec.scopeKey);
      const run = await this.#launch(spec, resolved);
      const told = { session: spec.sessionId, scopeKey: spec.scopeKey ?? "", run: run.id };
      for (const old of replaced) this.#parts.log.info({ event: "scope.replaced", ...told, replaced: old });
      return run;
    });
  }

  async read(params: Params<"exec.read">): Promise<OutputView> {
    const { run: id, stream, offset, bytesMax, waitMs, viewer, pace } = params;
    const live = this.#live.get(id);
    if (live === undefined) return this.#readEnded(params);
    if (viewer) live.noteView();
    const output = live.output(stream);
    if (output === null)
      return { offset: 0, bytes: "", printed: 0, run: await this.wait({ run: id, waitMs }), sizes: live.sizes };
    if (pace) output.readTo(offset);
    if (output.ring.printed <= offset) await live.nextOutput(output, Math.min(waitMs, waitMsMax), viewer);
    // It may have ended while we waited.
    if (!this.#live.has(id)) return this.#readEnded(params);
    return { ...pieceOf(output.ring, offset, bytesMax), run: live.run.summary(), sizes: live.sizes };
  }

  /** Throws `input_full`, `input_gap`, `run_ended`; then nothing of it was taken. */
  write({ run, bytes, at, end }: Params<"exec.write">): { inputBytes: number } {
    const live = this.#liveRun(run);
    const sent = Buffer.from(bytes, "base64");
    const from = at ?? live.inputBytes;
    if (from > live.inputBytes) {
      const message = `run ${run} has taken ${live.inputBytes} bytes of input; what begins at ${from} would leave a gap`;
      throw new HoldfastError("input_gap", message);
    }
    const data = sent.subarray(live.inputBytes - from);
    if (data.length > specLimits.inputBytesMax)
      throw new HoldfastError("invalid_params", `at most ${specLimits.inputBytesMax} bytes are taken at once`);
    live.noteInput();
    if (data.length > 0) live.io.write(data);
    live.inputBytes += data.length;
    if (end && live.io instanceof PipeIo) live.io.endInput();
    return { inputBytes: live.inputBytes };
  }

  resize({ run, size }: Params<"exec.resize">): null {
    this.#liveRun(run).resize(size);
    return null;
  }

  signal({ run, signal, to }: Params<"exec.signal">): null {
    this.#liveRun(run).signal(signal, to);
    return null;
  }

  /** Also for a run that is ended already: then it is told as it ended. */
  async end({ run, reason, hurried }: Params<"exec.end">): Promise<RunView> {
    return (
      this.#live.get(run)?.end(reason, hurried) ?? (await this.#parts.table.leftovers.end(run)) ?? this.#ended(run)
    );
  }

  async wait({ run, waitMs }: Params<"exec.wait">): Promise<RunView> {
    const live = this.#live.get(run);
    if (live === undefined) return this.#ended(run);
    const late = Promise.withResolvers<RunView>();
    const give = () => late.resolve(live.run.summary());
    const timer = this.#parts.clock.after(Math.min(waitMs, waitMsMax), give);
    return Promise.race([live.over, late.promise]).finally(() => timer.clear());
  }

  async outcome({ run: id, waitMs, bytesMax }: Params<"exec.outcome">): Promise<Outcome> {
    const run = await this.wait({ run: id, waitMs });
    const last = (stream: OutputStream) => {
      const live = this.#live.get(id);
      if (live === undefined) return this.#endedPiece(id, stream, -bytesMax, bytesMax);
      return pieceOf(live.output(stream)?.ring, -bytesMax, bytesMax);
    };
    return { run, stdout: last("stdout"), stderr: last("stderr") };
  }

  async remove({ run, end }: Params<"exec.remove">): Promise<null> {
    const live = this.#live.get(run);
    if (live !== undefined) {
      if (!end)
        throw new HoldfastError("run_alive", `run ${run} has not ended; end it first, or remove it with its end`);
      const { survivors } = await live.run.stop("cancelled");
      if (survivors.length > 0) throw unendable(run, survivors);
    }
    const earlier = (await this.#parts.table.leftovers.end(run))?.survivors ?? [];
    if (earlier.length > 0) throw unendable(run, earlier);
    this.#ended(run);
    this.#forget(run);
    return null;
  }

  /** Live runs that belong to a session. */
  owners(): { run: string; sessionId: string }[] {
    return [...this.#live].flatMap(([run, { spec }]) =>
      spec.sessionId === null ? [] : [{ run, sessionId: spec.sessionId }],
    );
  }

  renew(): { runs: number } {
    return { runs: [...this.#live.values()].filter((live) => live.renew()).length };
  }

  requests(): RequestedRun[] {
    return this.#requests.list();
  }

  /** The front is gone; runs that stay begin to count. Those that do not are the table's to end. */
  frontLost(): void {
    for (const live of this.#live.values()) live.frontLost();
  }

  frontBack(): void {
    for (const live of this.#live.values()) live.frontBack();
  }

  async #launch(spec: BackgroundSpec, resolved: Resolved): Promise<RunView> {
    const { clock, table, config } = this.#parts;
    let made: LiveRun | undefined;
    const prepare: Launch["prepare"] = (id, hangUp) => {
      const live = makeLive(spec, { clock, exec: config.exec, fileOf: (stream) => this.#file(id, stream), hangUp });
      made = live;
      return { io: live.io, keepsDescendants: spec.descendants !== "reap", figures: () => live.figures() };
    };
    const { kind, sessionId, scopeKey, onFrontLoss, limits } = spec;
    const named = { kind, server: null, sessionId, scopeKey, requestId: spec.request, command: commandOf(spec) };
    const run = await table.launch({
      ...named,
      onFrontLoss,
      limits,
      blob: "",
      request: resolved,
      place: (container, far) => far.placeCommand(container, resolved),
      prepare,
      onPrepared: (prepared) => this.#hold(prepared, made!),
      onChange: (changed) => this.#changed(changed),
    });
    return run.summary();
  }

  #hold(run: Run, live: LiveRun): void {
    live.run = run;
    this.#live.set(run.id, live);
  }

  #changed(run: Run): void {
    const live = this.#live.get(run.id);
    if (live === undefined) return;
    const view = run.summary();
    if (view.state === "exited") {
      this.#live.delete(run.id);
      this.#endedSizes.set(run.id, live.sizes);
    }
    live.changed(view);
    if (view.state === "exited") this.#trim();
  }

  async #endScope(sessionId: string | null, scopeKey: string | null): Promise<string[]> {
    const old = [...this.#live.values()].filter(
      ({ spec }) => spec.sessionId === sessionId && spec.scopeKey === scopeKey,
    );
    const views = await Promise.all(old.map(({ run }) => run.stop("scope-replaced")));
    views.push(...(await this.#parts.table.leftovers.endScope(sessionId, scopeKey)));
    for (const { id, survivors } of views) if (survivors.length > 0) throw unendable(id, survivors);
    for (const { id, state, host } of views) if (state === "lost") throw unproven(id, host);
    return views.map(({ id }) => id);
  }

  #liveRun(id: string): LiveRun {
    const live = this.#live.get(id);
    if (live !== undefined) return live;
    const { endReason } = this.#ended(id);
    throw new HoldfastError("run_ended", `run ${id} has ended (${endReason ?? "exited"})`);
  }

  #ended(id: string): RunView {
    const row = this.#parts.ledger.find(id);
    if (row === undefined || row.kind === "mcp") throw unknownRun(id, this.#parts.config.exec);
    return this.#parts.table.leftovers.find(id) ?? rowView(row);
  }

  #readEnded({ run: id, stream, offset, bytesMax }: Params<"exec.read">): OutputView {
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

  /** Keeps what is kept of ended runs bounded, output included. */
  #trim(): void {
    for (const id of this.#parts.ledger.backgroundBeyond(this.#parts.config.exec.historyMax)) this.#forget(id);
  }
}
