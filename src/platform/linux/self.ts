/** What a process learns about itself on Linux. */
export { keepPrivate, looksBlockRename, othersAccess, privateRemedy } from "../unix/access.ts";
export { areReadable, ownEnvironment } from "./caller.ts";
export { ownTerminal, ownUsage, unacknowledged } from "./own.ts";
export { isSameAlive } from "./processes.ts";
export { spareDescriptors } from "../unix/spare-descriptors.ts";

/** A look whether the process that started this one is gone: an orphan gets another parent. */
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
