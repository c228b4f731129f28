/** Finds marked processes, with one scan for all simultaneous callers. */
import { findMarked, type System } from "./ending.ts";
import type { ProcessInfo } from "./types.ts";

export class MarkerScans {
  readonly #system: System;
  #pending: { ownerId: string; scan: Promise<Map<string, ProcessInfo[]>> } | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /**
   * By run id. Simultaneous calls share one scan. The scan begins after the call, so it never shows an older process table than
   * the caller's.
   */
  soon(ownerId: string): Promise<Map<string, ProcessInfo[]>> {
    if (this.#pending?.ownerId === ownerId) return this.#pending.scan;
    const scan = new Promise<Map<string, ProcessInfo[]>>((resolve) => {
      this.#system.clock.soon(() => {
        this.#pending = undefined;
        resolve(findMarked(this.#system, ownerId));
      });
    });
    this.#pending = { ownerId, scan };
    return scan;
  }
}
