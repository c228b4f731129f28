/** What a process learns about itself on Windows. */
import type { Socket } from "node:net";
import type { OwnUsage, SpareDescriptors } from "../types.ts";
import { windows } from "./ffi.ts";
import { isUnread } from "./pipes.ts";
import { identify, isSameAlive } from "./processes.ts";

export { keepPrivate, looksBlockRename, othersAccess, privateRemedy } from "./access.ts";
export { becomeAgain } from "./launcher.ts";
export { ownEnvironment, ownTerminal } from "../told-by-node.ts";
export { isSameAlive } from "./processes.ts";

/**
 * A look whether the process that started this one is gone, or whoever read its output: a cmd.exe in between outlives them. An
 * orphan keeps its parent's number, and a process younger than the orphan only has it after the parent.
 */
export function watchCaller(): () => boolean {
  const [caller, own] = [identify(process.ppid), identify(process.pid)];
  const isLater = caller !== undefined && own !== undefined && BigInt(caller.startTime) > BigInt(own.startTime);
  return () => caller === undefined || isLater || !isSameAlive(caller) || isUnread();
}

/** Whether a process that becomes another keeps its number. */
export const keepsPid = false as boolean;

/** Arguments are UTF-16 and arrive unaltered. */
export const areReadable = (_words: string[]): boolean => true;

/** Handles, of which a process may have millions. Undefined in a front, which may load no addon. */
export function ownUsage(): OwnUsage | undefined {
  try {
    const count = Buffer.alloc(4);
    if (windows().GetProcessHandleCount(windows().GetCurrentProcess(), count) === 0) return undefined;
    return { descriptors: count.readUInt32LE(0), descriptorsMax: Number.POSITIVE_INFINITY };
  } catch {
    return undefined;
  }
}

/** Windows gives up a silent peer by itself, after about 20 s. */
export function unacknowledged(): (socket: Socket) => boolean {
  return () => false;
}

/** Handles do not run out as descriptors do, so none are kept in reserve. */
export const spareDescriptors: SpareDescriptors = {
  hold: () => {},
  held: 0,
  lend: (use) => use(),
  look: (look) => look(),
  [Symbol.dispose]: () => {},
};
