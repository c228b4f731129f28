/** One run on a node, as this gateway answers for it: its record, what the node told last, and who waits for its end. */
import type { Clock } from "../../clock.ts";
import type { EndReason, RunState, RunView } from "../../protocol/keeper/messages.ts";
import { runView } from "../../protocol/keeper/run-view.ts";
import type { RunRow } from "./rows.ts";

export class NodeRun {
  readonly row: RunRow;
  readonly #clock: Clock;
  /** What the node told last; null before it told anything to this front. */
  told: RunView | null = null;
  /** Life of the node's keeper that told of it last; undefined = none told this front. */
  life: string | undefined;
  /** Its start is being asked by this very front: that the node does not know it is no news then. */
  starting = false;
  /** How often its end was asked for here; each has its number, by which the node knows one that it heard before. */
  endsAsked = 0;
  /** Bytes of input that the node took; undefined = this front does not know. */
  inputBytes: number | undefined;
  /** Bytes printed, as far as anybody read. */
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

  /** Nothing of it is left, as the node's kernel said, or the node does not know it. */
  get exited(): boolean {
    return this.row.state === "exited";
  }

  /** Its node did not come back in time. Whoever waited was told; only the node can say more. */
  get givenUp(): boolean {
    return this.row.state === "lost";
  }

  get settled(): boolean {
    return this.exited || this.givenUp;
  }

  /** The node's word. An ended run stays ended, whatever is said later. True if it changed what is on record. */
  learn(view: RunView): boolean {
    if (this.exited) return false;
    this.told = view;
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

  /** The node does not know it, and nobody is asking for it: nothing of it is there. */
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

  /** As everybody is shown it; `host` is the node's present name, `present` whether its word can be had now. */
  view(host: string, present: boolean): RunView {
    const { told } = this;
    const record = { ...this.row, host, pid: told?.pid ?? null, state: shownState(this.row.state, present) };
    return runView(record, {
      background: this.exited ? null : (told?.background ?? null),
      survivors: told?.survivors ?? [],
      processes: this.exited || !present ? [] : (told?.processes ?? []),
    });
  }

  /** Resolves when it is over, or given up, or after `waitMs`. */
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

  /** Input goes one piece after another: each says where it begins. */
  afterInput<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#inputTail.then(action);
    this.#inputTail = done.catch(() => {}); // its caller hears it
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
