/** One run in the ledger: its columns, and those that may change later. */
import type { RecordedRun } from "../protocol/keeper/run-view.ts";

export interface LedgerRow extends RecordedRun {
  startTime: string | null;
  bootId: string;
  processGroup: number | null;
  container: string;
  marker: string;
  policy: string;
  epoch: number;
  /** The caller's own id for the start; unique. */
  requestId: string | null;
  /** JSON: pid and start time of survivors; null = none. For information only: never a reason to send a signal. */
  survivors: string | null;
}

const changing = [
  ...(["pid", "startTime", "processGroup", "state", "leaderEndedAt"] as const),
  ...(["endedAt", "endReason", "exitCode", "signal", "survivors"] as const),
] as const;
const fixed = [
  ...(["id", "kind", "server", "sessionId", "scopeKey", "host", "command", "cwd", "bootId", "container"] as const),
  ...(["marker", "policy", "startedAt", "epoch", "requestId"] as const),
] as const;

export type RowChange = Partial<Pick<LedgerRow, (typeof changing)[number]>>;

const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export const selectRows = `select ${[...fixed, ...changing].map((name) => `${snake(name)} as ${name}`).join(", ")} from runs`;

/** Null values keep the column: a change never clears one. */
export const updateRow = `update runs set ${changing
  .map((name) => `${snake(name)} = coalesce($${name}, ${snake(name)})`)
  .join(", ")} where id = $id`;

/** A change that leaves every column as it is. */
export const unchanged = Object.fromEntries(changing.map((name) => [name, null])) as Record<string, null>;

export const insertRow = `insert into runs (${fixed.map(snake).join(", ")}, command_hash, state)
  values (${fixed.map((name) => `$${name}`).join(", ")}, $hash, 'starting')`;

/** The values of `insertRow`. */
export function boundTo(row: LedgerRow, hash: string): Record<string, string | number | null> {
  return { ...Object.fromEntries(fixed.map((name) => [name, row[name]])), hash };
}
