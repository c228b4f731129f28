/** What a process can learn about itself and do alone. Safe for the front: it loads no addon and starts nothing. */
import { constants } from "node:os";
import type { Socket } from "node:net";
import { backend } from "../backend.ts";
import { cmdFlags } from "../windows-rules/arguments.ts";

export const {
  areReadable,
  becomeAgain,
  isSameAlive,
  keepsPid,
  ownEnvironment,
  ownTerminal,
  ownUsage,
  spareDescriptors,
  unacknowledged,
  watchCaller,
} = backend("self");

/** What the system tells this process about itself; a simulation tells it something else. */
export interface OwnSystem {
  readonly usage: typeof ownUsage;
  readonly unacknowledged: () => (socket: Socket) => boolean;
}

export const ownSystem: OwnSystem = { usage: ownUsage, unacknowledged };

/** Node's name of the system; for records and for other programs' file locations. */
export const systemName: NodeJS.Platform = process.platform;

/** Arguments that run one line in the shell of a system, by Node's name; its start passes cmd.exe the line as it is. */
export function shell(line: string, system: string): string[] {
  return system === "win32" ? ["cmd.exe", ...cmdFlags, line] : ["/bin/sh", "-c", line];
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

/** Applies a signal's default action to this process. */
export function signalSelf(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal);
}
