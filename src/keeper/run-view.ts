/** Runs and processes as the API shows them. */
import { platform } from "../platform/index.ts";
import { stateLetters, type ProcessInfo } from "../platform/types.ts";
import type { LedgerRow } from "./ledger.ts";
import type { ProcessView, RunView } from "../protocol/keeper/messages.ts";

export function viewProcess(info: ProcessInfo): ProcessView {
  const { pid, ppid, state, rssBytes } = info;
  const { command, startedAt } = platform.processes;
  return { pid, ppid, state: stateLetters[state], rssBytes, startedAt: startedAt(info), command: command(pid) };
}

/** A row as `ps` shows it, without its processes. */
export function rowView(row: LedgerRow): RunView {
  const { id, kind, server, sessionId, scopeKey, host, state, pid, startedAt, endedAt, leaderEndedAt, command, cwd } =
    row;
  const { endReason, exitCode, signal } = row;
  const told = {
    id,
    kind,
    server,
    sessionId,
    scopeKey,
    host,
    state,
    pid,
    startedAt,
    endedAt,
    leaderEndedAt,
    command,
    cwd,
  };
  return { ...told, endReason, exitCode, signal, background: null, survivors: [], processes: [] };
}
