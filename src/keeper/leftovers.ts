/**
 * Survivors of earlier epochs. Their rows stay open and visible; this keeper keeps trying to end them, and so does the next
 * one.
 */
import type { ProcessView, RunView } from "../protocol/run.ts";
import type { Clock } from "../clock.ts";
import { stateLetters, type Epoch, type LeftProcess, type Platform, type ProcessTable } from "../platform/types.ts";
import { readOpenRows, type Ledger } from "./ledger.ts";
import type { LedgerRow } from "./ledger-row.ts";
import type { Log } from "./log.ts";
import { RepeatedEnd } from "./repeated-end.ts";
import { viewProcess } from "./run-record.ts";
import { runView } from "../protocol/keeper/run-view.ts";
import type { StatePaths } from "./state-directory.ts";

export interface LeftRun {
  row: LedgerRow;
  left: LeftProcess[];
}

export interface LeftoverParts {
  ledger: Ledger;
  fences: Epoch;
  log: Log;
  clock: Clock;
  platform: Platform;
}

export class Leftovers implements Disposable {
  readonly #parts: LeftoverParts;
  readonly #runs = new Map<string, LeftRun>();
  #again: RepeatedEnd | undefined;

  constructor(parts: LeftoverParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** The survivors of the start. */
  hold(runs: readonly LeftRun[]): void {
    for (const run of runs) this.#runs.set(run.row.id, run);
    if (this.#runs.size === 0) return;
    this.#again = new RepeatedEnd({
      clock: this.#parts.clock,
      attempt: (boundMs) => this.#attempt(boundMs),
      onLeft: () => {},
      onGone: () => {},
    });
  }

  /** The runs as `ps` shows them. */
  views(): RunView[] {
    return [...this.#runs.values()].map((run) => viewOf(run, this.#parts.platform));
  }

  find(id: string): RunView | undefined {
    const run = this.#runs.get(id);
    return run && viewOf(run, this.#parts.platform);
  }

  /** Tries to end it now; resolves with its state afterwards, undefined when it is not a leftover. */
  async end(id: string): Promise<RunView | undefined> {
    if (!this.#runs.has(id)) return undefined;
    await this.#again?.ask();
    const row = this.#parts.ledger.find(id);
    return this.find(id) ?? (row && runView(row));
  }

  /** Tries to end those under a scope key; resolves with their state afterwards. */
  async endScope(sessionId: string | null, scopeKey: string | null): Promise<RunView[]> {
    const runs = [...this.#runs.values()].filter(({ row }) => row.sessionId === sessionId && row.scopeKey === scopeKey);
    const views = await Promise.all(runs.map(({ row }) => this.end(row.id)));
    return views.filter((view) => view !== undefined);
  }

  [Symbol.dispose](): void {
    this.#again?.[Symbol.dispose]();
  }

  async #attempt(boundMs: number): Promise<LeftRun[]> {
    const { clock, fences, ledger, log, platform } = this.#parts;
    const swept = await fences.sweepEarlier(boundMs);
    for (const [id, run] of this.#runs) {
      run.left = stillLeft(run.row, swept.left, platform);
      if (run.left.length > 0) continue;
      this.#runs.delete(id);
      closeRow(ledger, run.row, "orphan-swept", clock.now());
      log.warn({ event: "orphan.swept", what: `closed run ${id}: what was left of it has gone` });
    }
    return [...this.#runs.values()];
  }
}

/** For the command line without a keeper: runs on this machine with survivors of the last keeper. */
export function readLeftovers({ ledger }: StatePaths, platform: Platform): LeftRun[] {
  return readOpenRows(ledger).flatMap((row) => {
    const left = row.host === "local" ? stillLeft(row, [], platform) : [];
    return left.length === 0 ? [] : [{ row, left }];
  });
}

/**
 * Survivors of a row's run: those of the sweep, those recorded by the previous keeper, and the spawned process if its owner is
 * unreadable (it switched to another user).
 */
export function stillLeft(row: LedgerRow, left: readonly LeftProcess[], platform: Platform): LeftProcess[] {
  if (row.bootId !== platform.bootId()) return [];
  const { bootId } = row;
  const { command, environment, read } = platform.processes;
  const found = new Map(left.filter(({ run }) => run === row.id).map((one) => [one.pid, one]));
  const hidden = row.pid !== null && row.startTime !== null && environment(row.pid) === undefined;
  const known = hidden ? [{ pid: row.pid ?? 0, startTime: row.startTime ?? "" }] : [];
  for (const { pid, startTime } of [...survivorsOf(row), ...known]) {
    const ref = { pid, startTime, bootId };
    if (found.has(pid) || !platform.isSameAlive(ref)) continue;
    found.set(pid, { ...ref, run: row.id, state: read(pid)?.state ?? "unknown", command: command(pid) });
  }
  return [...found.values()];
}

/** Survivors as the previous keeper recorded them; a corrupt row yields none. */
function survivorsOf({ survivors }: LedgerRow): { pid: number; startTime: string }[] {
  try {
    const parsed = JSON.parse(survivors ?? "[]") as unknown;
    if (!Array.isArray(parsed)) return [];
    return (parsed as { pid?: unknown; startTime?: unknown }[]).flatMap((one) =>
      typeof one?.pid === "number" && typeof one.startTime === "string"
        ? [{ pid: one.pid, startTime: one.startTime }]
        : [],
    );
  } catch {
    return []; // not written by a keeper
  }
}

export function closeRow(ledger: Ledger, row: LedgerRow, endReason: "orphan-swept" | "keeper-lost", now: number): void {
  ledger.ended({
    ...row,
    endedAt: now,
    leaderEndedAt: row.leaderEndedAt ?? now,
    endReason: row.endReason ?? endReason,
    exitCode: null,
    signal: null,
  });
}

function viewOf({ row, left }: LeftRun, { processes: table }: Platform): RunView {
  const processes = left.map((one) => viewLeft(one, table));
  return { ...runView(row), state: "stopping", processes, survivors: processes };
}

function viewLeft(left: LeftProcess, table: ProcessTable): ProcessView {
  const { pid, state, command } = left;
  const info = table.read(pid);
  if (info !== undefined) return viewProcess(info, table);
  return { pid, ppid: 0, state: stateLetters[state], rssBytes: 0, startedAt: table.startedAt(left), command };
}
