/** From a record of a run, in the ledger or in the book of nodes, to the run as everybody is shown it. */
import type { RunView } from "../run.ts";

/** What a record keeps of a run and its view shows. */
const recorded = [
  ...(["id", "kind", "server", "sessionId", "scopeKey", "host", "state", "pid"] as const),
  ...(["startedAt", "endedAt", "leaderEndedAt", "command", "cwd", "endReason", "exitCode", "signal"] as const),
] as const;

export type RecordedRun = Pick<RunView, (typeof recorded)[number]>;

/** The end of a run that has none yet. */
export const notEnded = { endedAt: null, leaderEndedAt: null, endReason: null, exitCode: null, signal: null };

/** `live`: what only the holder of a live run knows. */
export function runView(record: RecordedRun, live: Partial<Omit<RunView, keyof RecordedRun>> = {}): RunView {
  const told = Object.fromEntries(recorded.map((name) => [name, record[name]])) as unknown as RecordedRun;
  return { ...told, background: null, survivors: [], processes: [], silentSince: null, ...live };
}
