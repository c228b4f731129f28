/** Signals that reach only the intended process. */
import { constants } from "node:os";
import { closeDescriptor, openPidfd, signalPidfd } from "./ffi.ts";
import { isAlive, type PoliteRequest, type ProcessInfo, type ProcessRef } from "../types.ts";
import { signalOf } from "../unix/signals.ts";
import { readProcess } from "./processes.ts";

/**
 * Signals one process after verifying its identity. The pidfd is opened before the check, so that a number reused in between
 * cannot be hit. False: gone, or not ours to signal.
 */
export function signalProcess(target: Pick<ProcessRef, "pid" | "startTime">, signal: NodeJS.Signals): boolean {
  const pidfd = openPidfd(target.pid);
  try {
    const now = readProcess(target.pid);
    if (!isAlive(now) || now.startTime !== target.startTime) return false;
    if (pidfd >= 0) return signalPidfd(pidfd, constants.signals[signal]);
    // Kernels before 5.3 have no pidfd: only the check above protects.
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false; // ended between the check and the signal, or another uid's
  } finally {
    if (pidfd >= 0) closeDescriptor(pidfd);
  }
}

/** Asks each process of a tree. A stopped one cannot react to the loss of its terminal, so it is continued. */
export function askAll(tree: readonly ProcessInfo[], request: PoliteRequest): boolean {
  const asked = tree.filter((info) => signalProcess(info, signalOf(request)));
  if (request === "hangup") for (const info of tree) signalProcess(info, "SIGCONT");
  return asked.length > 0;
}

/** Signals every process of a tree, or its main process only. */
export function signalTree(tree: readonly ProcessInfo[], signal: NodeJS.Signals, mainPid?: number): boolean {
  const meant = mainPid === undefined ? tree : tree.filter(({ pid }) => pid === mainPid);
  return meant.filter((info) => signalProcess(info, signal)).length > 0;
}
