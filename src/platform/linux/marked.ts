/** Finds marked processes, with one scan for all simultaneous callers. */
import { findMarked } from "../ending.ts";
import type { ProcessInfo } from "../types.ts";
import { system } from "./system.ts";

let pending: { ownerId: string; scan: Promise<Map<string, ProcessInfo[]>> } | undefined;

/**
 * By run id. Simultaneous calls share one scan. The scan begins after the call, so it never shows an older process table than
 * the caller's.
 */
export function scanMarkersSoon(ownerId: string): Promise<Map<string, ProcessInfo[]>> {
  if (pending?.ownerId === ownerId) return pending.scan;
  const scan = new Promise<Map<string, ProcessInfo[]>>((resolve) => {
    system.clock.soon(() => {
      pending = undefined;
      resolve(findMarked(system, ownerId));
    });
  });
  pending = { ownerId, scan };
  return scan;
}
