/** A run's record: its state as one pure table, its row, and its survivors. Each change is written to the ledger. */
import type { ProcessView, RunState, RunView } from "../protocol/run.ts";
import {
  stateLetters,
  type MainExit,
  type ProcessInfo,
  type ProcessRef,
  type ProcessTable,
} from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerRow } from "./ledger-row.ts";
import { runView } from "../protocol/keeper/run-view.ts";

/** The process as the API shows it. */
export function viewProcess(info: ProcessInfo, { command, startedAt }: ProcessTable): ProcessView {
  const { pid, ppid, state, rssBytes } = info;
  return { pid, ppid, state: stateLetters[state], rssBytes, startedAt: startedAt(info), command: command(pid) };
}

/**
 *   starting ──> running ──> stopping ──> exited
 *      │            └──────> lost ──┐        ^
 *      └──> stopping  <─────────────┘────────┘
 *
 * `exited` is entered on proof of empty only, never on the command's exit.
 */
const allowed: Record<RunState, readonly RunState[]> = {
  starting: ["running", "stopping"],
  running: ["stopping", "lost"],
  stopping: ["exited", "lost"],
  lost: ["running", "stopping", "exited"],
  exited: [],
};

/** The next state. An illegal move is a defect and throws. */
export function transition(from: RunState, to: RunState): RunState {
  if (!allowed[from].includes(to)) throw new HoldfastError("internal", `a run cannot go from ${from} to ${to}`);
  return to;
}

export class RunRecord {
  readonly row: LedgerRow;
  #survivors: ProcessView[] = [];
  readonly #ledger: Ledger;
  readonly #table: ProcessTable;
  readonly #onChange: () => void;

  /** `onChange` runs after each change except the spawn, which the state "running" reports. */
  constructor(row: LedgerRow, ledger: Ledger, table: ProcessTable, onChange: () => void) {
    this.row = row;
    this.#ledger = ledger;
    this.#table = table;
    this.#onChange = onChange;
  }

  /** Throws `state_unusable`. */
  intend(): void {
    this.#ledger.intend(this.row);
  }

  spawned({ pid, startTime }: ProcessRef): void {
    Object.assign(this.row, { pid, startTime, processGroup: pid });
    this.#ledger.spawned(this.row.id, pid, startTime, pid);
  }

  enter(state: RunState): void {
    this.row.state = transition(this.row.state, state);
    this.changed();
  }

  changed(): void {
    this.#ledger.changed(this.row);
    this.#onChange();
  }

  noteSurvivors(left: readonly ProcessInfo[]): void {
    this.#survivors = left.map((info) => viewProcess(info, this.#table));
    const identities = left.map(({ pid, startTime }) => ({ pid, startTime }));
    this.row.survivors = left.length === 0 ? null : JSON.stringify(identities);
  }

  /** Everything is gone. `exit`: of the command, if it was started. */
  exited(exit: MainExit | undefined, endedAt: number): void {
    this.#survivors = [];
    const { code = null, signal = null } = exit ?? {};
    const state = transition(this.row.state, "exited");
    Object.assign(this.row, { endedAt, exitCode: code, signal, state });
    this.#ledger.ended(this.row);
    this.#onChange();
  }

  view(): RunView {
    return runView(this.row, { survivors: this.#survivors });
  }
}
