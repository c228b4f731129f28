/** Windows for the algorithms of ending.ts and sweep.ts: a signal reaches only the intended process. */
import { systemClock } from "../../clock.ts";
import type { System } from "../ending.ts";
import { MarkerScans } from "../marked.ts";
import type { ProcessRef } from "../types.ts";
import { windows, type Handle } from "./ffi.ts";
import { hasEnded, processes, timesOf, withProcess } from "./processes.ts";

/** TERMINATE, SUSPEND_RESUME, QUERY_LIMITED_INFORMATION and SYNCHRONIZE. */
const mayEnd = 0x1 | 0x800 | 0x1000 | 0x10_0000;

/** The exit code of what Holdfast kills, by which it is told from what ends by itself: "HF", and 9 for SIGKILL. */
export const killedCode = 0x4846_0009;

/** Windows has no signals: a process can be ended, halted and resumed. Others have no meaning and reach nothing. */
const actions: Partial<Record<NodeJS.Signals, (process: Handle) => boolean>> = {
  SIGKILL: (process) => windows().TerminateProcess(process, killedCode) !== 0,
  SIGSTOP: (process) => windows().NtSuspendProcess(process) === 0,
  SIGCONT: (process) => windows().NtResumeProcess(process) === 0,
};

/**
 * The handle is opened before the identity check and holds the process, so that a number reused in between cannot be hit.
 * False: gone, not ours to signal, or no such signal here.
 */
export function signalProcess(
  { pid, startTime }: Pick<ProcessRef, "pid" | "startTime">,
  signal: NodeJS.Signals,
): boolean {
  const act = actions[signal];
  if (act === undefined) return false;
  const isDone = withProcess(pid, mayEnd, (process) => {
    const times = timesOf(process);
    return times !== undefined && !hasEnded(process) && String(times.created) === startTime && act(process);
  });
  return isDone ?? false;
}

/** CTRL_BREAK_EVENT; Ctrl+C cannot be sent to a group. */
const controlBreak = 1;

/** Asks the whole group of a command, which must be in the console of this process. False: it could not be sent. */
export function breakGroup(pid: number): boolean {
  return windows().GenerateConsoleCtrlEvent(controlBreak, pid) !== 0;
}

export const system: System = { clock: systemClock, processes, signal: signalProcess };

export const markerScans = new MarkerScans(system);
