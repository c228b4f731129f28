/** One run in the ledger: the columns, and which of them change once the row is there. */
import type { RecordedRun } from "../protocol/keeper/run-view.ts";

export interface LedgerRow extends RecordedRun {
  startTime: string | null;
  bootId: string;
  processGroup: number | null;
  container: string;
  marker: string;
  policy: string;
  epoch: number;
  /** The caller's own name for the start; no two rows have the same. */
  requestId: string | null;
  /** JSON: pid and start time of what could not be ended; null = nothing. No signal is ever sent because of it. */
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

/** Only what is told is written: a change never makes a value null. */
export const updateRow = `update runs set ${changing
  .map((name) => `${snake(name)} = coalesce($${name}, ${snake(name)})`)
  .join(", ")} where id = $id`;

/** Of a change that does not speak of them. */
export const unchanged = Object.fromEntries(changing.map((name) => [name, null])) as Record<string, null>;

export const insertRow = `insert into runs (${fixed.map(snake).join(", ")}, command_hash, state)
  values (${fixed.map((name) => `$${name}`).join(", ")}, $hash, 'starting')`;

/** What `insertRow` binds. */
export function boundTo(row: LedgerRow, hash: string): Record<string, string | number | null> {
  return { ...Object.fromEntries(fixed.map((name) => [name, row[name]])), hash };
}
