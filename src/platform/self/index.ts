/** What a process may know of itself and do alone. The front imports this part only: it loads no addon and starts nothing. */
import { constants } from "node:os";

export { areReadable, ownEnvironment } from "../linux/caller.ts";
export { ownTerminal, ownUsage, unacknowledged } from "../linux/own.ts";
export { isSameAlive } from "../linux/processes.ts";
export { spareDescriptors } from "../linux/spare-descriptors.ts";

/** As Node calls it; for records and for the places where other programs keep their files. */
export const systemName: NodeJS.Platform = process.platform;

/** The arguments that run one line of the system's shell. */
export function shell(line: string): string[] {
  return ["/bin/sh", "-c", line];
}

/** The arguments that run a script of ours. */
export function shellScript(path: string, ...args: string[]): string[] {
  return ["/bin/sh", path, ...args];
}

/** Whether the system has a signal of this name. */
export function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

/** The exit code by which a shell tells of a signal; undefined for a name that the system does not know. */
export function exitCodeOfSignal(signal: string): number | undefined {
  return isSignal(signal) ? 128 + constants.signals[signal] : undefined;
}

/** The same command line again, with more flags of Node. Returns where no process can be replaced. */
export function becomeAgain(flags: readonly string[] = []): void {
  if (process.platform === "win32") return;
  const words = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, words, process.env);
}

/** Lets a signal do to this process what it does without a handler. */
export function signalSelf(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal);
}
