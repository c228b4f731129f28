/** What a process can learn about itself and do alone. Safe for the front: it loads no addon and starts nothing. */
import { constants } from "node:os";

export { areReadable, ownEnvironment } from "../linux/caller.ts";
export { ownTerminal, ownUsage, unacknowledged } from "../linux/own.ts";
export { isSameAlive } from "../linux/processes.ts";
export { spareDescriptors } from "../linux/spare-descriptors.ts";

/** Node's name of the system; for records and for other programs' file locations. */
export const systemName: NodeJS.Platform = process.platform;

/** Arguments that run one line in the system's shell. */
export function shell(line: string): string[] {
  return ["/bin/sh", "-c", line];
}

/** Arguments that run one of our scripts. */
export function shellScript(path: string, ...args: string[]): string[] {
  return ["/bin/sh", path, ...args];
}

/** Whether the system has a signal of this name. */
export function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

/** A shell's exit code for a signal; undefined for an unknown name. */
export function exitCodeOfSignal(signal: string): number | undefined {
  return isSignal(signal) ? 128 + constants.signals[signal] : undefined;
}

/** Restarts the same command line with more Node flags. Returns where a process cannot be replaced. */
export function becomeAgain(flags: readonly string[] = []): void {
  if (process.platform === "win32") return;
  const words = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, words, process.env);
}

/** Applies a signal's default action to this process. */
export function signalSelf(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal);
}
