/** Signals that reach the process that was meant, or nobody. */
import { constants } from "node:os";
import { closeDescriptor, openPidfd, signalPidfd } from "./ffi.ts";
import { isAlive, readProcess, type ProcessInfo } from "./processes.ts";

/**
 * Signals one process after checking that it is still the one that was seen. The pidfd is opened before the check, so
 * that a number which is reused in between cannot be hit. False: gone, or not ours to signal.
 */
export function signalProcess(target: Pick<ProcessInfo, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
  const pidfd = openPidfd(target.pid);
  try {
    const now = readProcess(target.pid);
    if (!isAlive(now) || now.startTime !== target.startTime) return false;
    if (pidfd >= 0) return signalPidfd(pidfd, constants.signals[signal]);
    // Kernels before 5.3 have no pidfd: the check above is then all there is.
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false; // ended between the check and the signal, or another uid's
  } finally {
    if (pidfd >= 0) closeDescriptor(pidfd);
  }
}

/** Rounds of stop-then-kill at a tree that keeps forking. */
const haltRoundsMax = 50;

/**
 * Kills everything that `look` shows. Stops it first, round by round until nothing new appears, so that a tree cannot
 * fork faster than it is killed.
 */
export function killAll(look: () => ProcessInfo[]): void {
  const halted = new Map<number, ProcessInfo>();
  for (let round = 0; round < haltRoundsMax; round += 1) {
    const fresh = look().filter((info) => isAlive(info) && halted.get(info.pid)?.startTime !== info.startTime);
    if (fresh.length === 0) break;
    for (const info of fresh) {
      signalProcess(info, "SIGSTOP");
      halted.set(info.pid, info);
    }
  }
  for (const info of halted.values()) signalProcess(info, "SIGKILL");
}
