/** What a process learns about itself on macOS. */
import { readdirSync } from "node:fs";
import type { Socket } from "node:net";
import type { OwnUsage, ProcessRef } from "../types.ts";
import { spareDescriptors } from "../unix/spare-descriptors.ts";
import { darwin } from "./system.ts";

export { keepPrivate, looksBlockRename, othersAccess, privateRemedy } from "../unix/access.ts";
export { ownEnvironment, ownTerminal } from "../told-by-node.ts";
export { spareDescriptors } from "../unix/spare-descriptors.ts";

export const isSameAlive = (ref: ProcessRef): boolean => darwin.processes.isSameAlive(ref);

/** A look whether the process that started this one is gone: launchd takes an orphan. */
export function watchCaller(): () => boolean {
  const caller = process.ppid;
  return () => process.ppid !== caller;
}

/** Whether a process that becomes another keeps its number. */
export const keepsPid = true as boolean;

/** Restarts the same command line with more Node flags. Returns where a process cannot be replaced. */
export async function becomeAgain(flags: readonly string[] = []): Promise<void> {
  const words = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, words, process.env);
}

/** Node shows arguments that are no UTF-8 altered, and nothing here has the original ones. */
export const areReadable = (words: string[]): boolean => !words.some((word) => word.includes("\uFFFD"));

/** Node raises its limit as far as the system lets it, and launchd sets none. */
export function ownUsage(): OwnUsage | undefined {
  try {
    // The descriptor of the listing itself is included.
    const descriptors = spareDescriptors.look(() => readdirSync("/dev/fd").length - 1);
    return { descriptors, descriptorsMax: Number.POSITIVE_INFINITY };
  } catch {
    return undefined; // no /dev/fd
  }
}

/** Not told by the system; it gives up a silent peer by itself, within minutes. */
export function unacknowledged(): (socket: Socket) => boolean {
  return () => false;
}
