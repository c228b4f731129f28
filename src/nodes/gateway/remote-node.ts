/**
 * One node as the gateway sees it: here, away for less than its lease, or gone. Repeatable requests survive a lost link;
 * runs are compared with the node's report as soon as it is back.
 */
import type { EndReason, RunView } from "../../protocol/run.ts";
import type { RequestedRun } from "../../protocol/background.ts";
import { inTime, type Clock, type Timer } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { OperationParams, Runner } from "../../protocol/keeper/runner.ts";
import type { Log } from "../../log.ts";
import { isCrowded, LinkLost, type NodeLink } from "./link.ts";
import type { NodeRun } from "./node-run.ts";
import type { NodeRuns } from "./node-runs.ts";

/** The node counts its own lease; this much later it has expired for certain. */
const leaseSlackMs = 1000;
/** Delay before a request that found no room is repeated. */
const crowdedMs = 250;

export interface RemoteParts {
  clock: Clock;
  runs: NodeRuns;
  leaseMs: number;
  log: Log;
  /** The node's present name. */
  name: () => string;
}

/** A request to the node over one link, repeated over the next when that one is lost. */
type Question<T> = (link: Runner) => Promise<T>;

interface Waiter {
  resolve: (link: NodeLink) => void;
  reject: (error: Error) => void;
}

export class RemoteNode {
  readonly id: string;
  readonly #parts: RemoteParts;
  readonly #waiting = new Set<Waiter>();
  /** Requests that it reported unasked: it may report them again. */
  readonly #heardOf = new Set<string>();
  /** Requests that it is being asked to end. */
  readonly #ending = new Set<string>();
  #link: NodeLink | undefined;
  /** Pending while it is welcomed but has not reported its runs. */
  #coming: PromiseWithResolvers<void> | undefined;
  #lease: Timer | undefined;

  /** An absent node may have runs of the previous front: it has its lease to return. */
  constructor(id: string, parts: RemoteParts) {
    this.id = id;
    this.#parts = parts;
    if (this.#runs.some((run) => !run.settled)) this.#countLease(parts.leaseMs);
  }

  get link(): NodeLink | undefined {
    return this.#link;
  }

  get name(): string {
    return this.#parts.name();
  }

  view(run: NodeRun): RunView {
    return { ...run.view(this.name, this.#link !== undefined), silentSince: run.exited ? null : this.silentSince };
  }

  /** When it stopped answering over a link that is open; null otherwise. */
  get silentSince(): number | null {
    return this.#link?.silentSince ?? null;
  }

  // ── here and away ──

  /** It is welcomed: callers that need it wait until it is here or has left. */
  comes(): void {
    this.#coming ??= Promise.withResolvers<void>();
  }

  /** No connection is pending. */
  came(): void {
    this.#coming?.resolve();
    this.#coming = undefined;
  }

  /** The node is here and has reported its runs. Throws a message for the log when the report is impossible. */
  arrive(link: NodeLink, told: readonly RequestedRun[]): void {
    const { runs } = this.#parts;
    for (const { request } of told) this.#mustBeMine(request);
    this.#lease?.clear();
    this.#link = link;
    this.#heardOf.clear();
    const known = new Map(told.map(({ request, run }) => [request, run]));
    for (const [request, view] of known) {
      this.#heardOf.add(request);
      const run = runs.find(request);
      // Ends runs that are unknown here, were to end while it was away, or were given up.
      const reason = run === undefined ? runs.reasonForUnknown(request) : run.row.endReason;
      if (view.state !== "exited" && reason !== null) this.#endLate(request, reason);
      if (run !== undefined) this.#learn(run, view);
    }
    for (const run of this.#runs) {
      if (known.has(run.id) || run.starting || run.exited) continue;
      // A node with this key but another ledger cannot know the outcome of runs that were seen on it.
      if (run.row.state === "starting" || run.life === link.instance) run.vanish("node-lost");
      else run.giveUp("node-lost");
      this.#changed(run);
    }
    this.came();
    for (const { resolve } of this.#waiting) resolve(link);
    this.#waiting.clear();
  }

  /** Its link is lost. Its runs are out of sight, and given up when its lease has expired for certain. */
  leave(link: NodeLink): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#countLease(this.#parts.leaseMs - (this.#parts.clock.monotonic() - link.lastSentAt));
  }

  /** A run's state from the node. Throws a message for the log when the node never got that run. */
  hears({ request, run: view }: RequestedRun): void {
    const run = this.#mustBeMine(request);
    if (run === undefined) {
      if (this.#heardOf.has(request)) return;
      throw new Error(`the state of a run that it was never given (${request})`);
    }
    // Started after its record was closed: a late approval at the node, say, or a suspended keeper.
    const isLate = run.settled && (view.state === "starting" || view.state === "running");
    if (isLate) this.#endLate(request, run.row.endReason ?? "node-lost");
    this.#learn(run, view);
  }

  // ── requests ──

  /** The link now. Throws `node_absent`. */
  async present(): Promise<NodeLink> {
    if (this.#link === undefined) await this.#coming?.promise;
    if (this.#link !== undefined) return this.#link;
    throw new HoldfastError(
      "node_absent",
      `node ${this.name} is not connected; start it there with \`holdfast node run\`, and see \`holdfast nodes list\``,
    );
  }

  /**
   * Repeats an idempotent request over successive links until there is an answer. Throws the node's refusal, and
   * `node_lost` when the node does not return, or returns too late for `mayAsk`.
   */
  async ask<T>(question: Question<T>, mayAsk: () => boolean = () => true): Promise<T> {
    for (let wasAsked = false; ; wasAsked = true) {
      const link = await this.#whenPresent();
      if (!mayAsk()) throw this.goneError();
      try {
        return await question(link.runner);
      } catch (thrown) {
        if (thrown instanceof LinkLost) continue;
        // A request sent over a lost link may have been carried out, so a lack of room for its repetition is no answer.
        if (!wasAsked || !isCrowded(thrown)) throw thrown;
        await this.#parts.clock.sleep(crowdedMs);
      }
    }
  }

  /** Like `ask`. */
  async end(params: OperationParams<"end">): Promise<RunView> {
    this.#ending.add(params.run);
    return this.ask((link) => link.end(params)).finally(() => this.#ending.delete(params.run));
  }

  /** Like `ask`; undefined when the node was away for `waitMs`, which also bounds the request at the node. */
  async askWithin<T>(question: (link: Runner, waitMs: number) => Promise<T>, waitMs: number): Promise<T | undefined> {
    const deadline = this.#parts.clock.monotonic() + waitMs;
    for (;;) {
      const restMs = Math.max(0, deadline - this.#parts.clock.monotonic());
      const link = this.#link ?? (await this.#whenPresentWithin(restMs));
      if (link === undefined) return undefined;
      try {
        return await question(link.runner, Math.round(restMs));
      } catch (thrown) {
        if (!(thrown instanceof LinkLost)) throw thrown;
      }
    }
  }

  /** Once, over this link. Throws `node_lost` when it is unknown whether it was carried out. */
  async askOnce<T>(question: Question<T>): Promise<T> {
    try {
      return await question((await this.present()).runner);
    } catch (thrown) {
      if (!(thrown instanceof LinkLost)) throw thrown;
      throw new HoldfastError(
        "node_lost",
        `node ${this.name} was lost before it answered; whether it did it is unknown`,
      );
    }
  }

  /** Notes the processes of its live runs, if it answers promptly. */
  async look(): Promise<void> {
    const views = (await this.#link?.look()) ?? [];
    const own = new Map(this.#runs.map((run) => [run.id, run]));
    for (const view of views) own.get(view.id)?.sees(view);
  }

  /** It sent an impossible report: its connection ends. Returns the error for the caller. */
  fault(what: string): HoldfastError {
    this.#parts.log("node.fault", { node: this.id, address: this.#link?.wire.address ?? "", what });
    this.#link?.wire.end("protocol-error", "not as it was agreed");
    return new HoldfastError("node_lost", `node ${this.name} answered what cannot be: ${what}`);
  }

  /** Records the node's answer about a run. */
  took(run: NodeRun, view: RunView): RunView {
    this.#learn(run, view);
    return this.view(run);
  }

  // ── inside ──

  get #runs(): NodeRun[] {
    return this.#parts.runs.of(this.id);
  }

  #whenPresent(): Promise<NodeLink> {
    if (this.#link !== undefined) return Promise.resolve(this.#link);
    if (this.#lease === undefined) return Promise.reject(this.goneError());
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }

  async #whenPresentWithin(boundMs: number): Promise<NodeLink | undefined> {
    if (boundMs === 0 && this.#lease !== undefined) return undefined;
    const waiting = this.#whenPresent();
    waiting.catch(() => {}); // reported to the remaining waiters by the race
    return inTime(this.#parts.clock, waiting, boundMs, undefined);
  }

  #countLease(restMs: number): void {
    this.#lease?.clear();
    this.#lease = this.#parts.clock.after(Math.max(0, restMs) + leaseSlackMs, () => this.#leaseOver());
  }

  #leaseOver(): void {
    this.#lease = undefined;
    for (const run of this.#runs) {
      if (run.settled) continue;
      run.giveUp("node-lost");
      this.#parts.runs.write(run);
      this.#parts.log("node.run_given_up", { node: this.id, run: run.id, endReason: run.row.endReason });
    }
    for (const { reject } of this.#waiting) reject(this.goneError());
    this.#waiting.clear();
  }

  /** For callers that wait for one of its runs. */
  goneError(): HoldfastError {
    const words = `node ${this.name} did not come back within its lease; it ends what it ran by itself`;
    return new HoldfastError("node_lost", words);
  }

  /** Undefined if unrecorded. Throws when it belongs to another node. */
  #mustBeMine(request: string): NodeRun | undefined {
    const run = this.#parts.runs.find(request);
    if (run !== undefined && run.row.node !== this.id) throw new Error(`speaks of a run of another node (${request})`);
    return run;
  }

  #learn(run: NodeRun, view: RunView): void {
    run.life = this.#link?.instance;
    const before = run.row.state;
    if (!run.learn(view)) return;
    const isStarted = before === "starting" && run.row.state !== "starting";
    if (isStarted) this.#parts.log("run.spawned", { run: run.id });
    // Its end was requested before the node knew it: while it awaited approval, say.
    if (isStarted && !run.exited && run.row.endReason !== null) this.#endLate(run.id, run.row.endReason);
    this.#changed(run);
  }

  #changed(run: NodeRun): void {
    this.#parts.runs.write(run);
    if (!run.exited) return;
    const { endReason, exitCode, signal } = run.row;
    this.#parts.log("run.ended", { run: run.id, endReason, exitCode, signal });
  }

  /** Ends runs cancelled while the node was offline, or unknown here. The node's next report gives the outcome. */
  #endLate(request: string, reason: EndReason): void {
    // Already requested. The first request counts, also for a front that does not know of it.
    if (this.#ending.has(request)) return;
    this.end({ run: request, reason, hurried: false, nth: 1 }).catch((error: unknown) => {
      this.#parts.log("node.not_ended", { node: this.id, run: request, error: String(error) });
    });
  }
}
