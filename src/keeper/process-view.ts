/** A process as the API shows it. */
import { platform } from "../platform/index.ts";
import { stateLetters, type ProcessInfo } from "../platform/types.ts";
import type { ProcessView } from "../protocol/keeper/messages.ts";

export function viewProcess(info: ProcessInfo): ProcessView {
  const { pid, ppid, state, rssBytes } = info;
  const { command, startedAt } = platform.processes;
  return { pid, ppid, state: stateLetters[state], rssBytes, startedAt: startedAt(info), command: command(pid) };
}
