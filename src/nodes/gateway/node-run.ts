/** One run on a node, as this gateway reports it: its record, the node's last report, and the callers that wait for its end. */
import type { EndReason, RunState, RunView } from "../../protocol/run.ts";
import type { Clock } from "../../clock.ts";
import { runView } from "../../protocol/keeper/run-view.ts";
import type { RunRow } from "./rows.ts";

export class NodeRun {
  readonly row: RunRow;
  readonly #clock: Clock;
  /** The node's last report; null = none to this front yet. */
  told: RunView | null = null;
  /** Lifetime of the node's keeper that last reported it; undefined = no report to this front. */
  life: string | undefined;
  /** This front is requesting its start, so the node may not know it yet. */
  starting = false;
  /** How often its end was requested here; the number lets the node recognise a repeated request. */
  endsAsked = 0;
  /** Bytes of input that the node accepted; undefined = unknown to this front. */
  inputBytes: number | undefined;
  /** Bytes printed, up to the last read. */
  printed = 0;
  readonly #listeners = new Set<() => void>();
  #inputTail: Promise<unknown> = Promise.resolve();

  constructor(row: RunRow, clock: Clock) {
    this.#clock = clock;
    this.row = row;
  }

  get id(): string {
    return this.row.id;
  }

  /** Its tree is empty by the node's kernel, or the node does not know it. */
  get exited(): boolean {
    return this.row.state === "exited";
  }

  /** Its node did not return in time. Waiting callers were told; only the node can report more. */
  get givenUp(): boolean {
    return this.row.state === "lost";
  }

  get settled(): boolean {
    return this.exited || this.givenUp;
  }

  /** Takes the node's report. An ended run stays ended, whatever is reported later. Returns true if the record changed. */
  learn(view: RunView): boolean {
    if (this.exited) return false;
    // A report without processes is one of the state alone.
    const { processes = [] } = this.told ?? {};
    this.told = view.processes.length === 0 ? { ...view, processes } : view;
    this.printed = Math.max(this.printed, view.background?.outputBytes ?? 0);
    const { row } = this;
    const before = JSON.stringify(row);
    row.startedAt = view.startedAt;
    row.cwd = view.cwd;
    row.leaderEndedAt = view.leaderEndedAt;
    row.state = view.state;
    if (view.state === "exited") this.#takeEnd(view);
    if (before === JSON.stringify(row)) return false;
    this.#tell();
    return true;
  }

  /** Its processes as the node just listed them. */
  sees({ processes, pid }: RunView): void {
    if (this.told !== null && !this.exited) this.told = { ...this.told, processes, pid };
  }

  /** The node does not know it and no start is under way, so nothing of it exists. */
  vanish(reason: EndReason): void {
    if (this.exited) return;
    this.row.state = "exited";
    this.row.endReason ??= reason;
    this.row.endedAt = this.#clock.now();
    this.#tell();
  }

  giveUp(reason: EndReason): void {
    if (this.settled) return;
    this.row.state = "lost";
    this.row.endReason ??= reason;
    this.#tell();
  }

  /** The public view; `host` is the node's present name, `present` whether it is connected. */
  view(host: string, present: boolean): RunView {
    const { told } = this;
    const record = { ...this.row, host, pid: told?.pid ?? null, state: shownState(this.row.state, present) };
    return runView(record, {
      background: this.exited ? null : (told?.background ?? null),
      survivors: told?.survivors ?? [],
      processes: this.exited || !present ? [] : (told?.processes ?? []),
    });
  }

  /** Resolves when it has ended, was given up, or after `waitMs`. */
  async settles(waitMs: number): Promise<void> {
    if (this.settled || waitMs <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.after(waitMs, resolve);
    const look = () => {
      if (this.settled) resolve();
    };
    this.#listeners.add(look);
    await promise;
    this.#listeners.delete(look);
    timer.clear();
  }

  /** Sends input piece by piece, in order: each piece gives its offset. */
  afterInput<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#inputTail.then(action);
    this.#inputTail = done.catch(() => {}); // its caller gets the error
    return done;
  }

  #takeEnd({ endedAt, endReason, exitCode, signal }: RunView): void {
    Object.assign(this.row, { endedAt, exitCode, signal, endReason: endReason ?? this.row.endReason });
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function shownState(state: RunState, present: boolean): RunState {
  return state === "exited" || present ? state : "lost";
}
