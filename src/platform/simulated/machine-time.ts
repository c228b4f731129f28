/**
 * Time as one machine sees it: its wall clock can be set, and while the machine is suspended its monotonic clock stands still
 * and nothing on it happens.
 */
export class MachineTime {
  /** What the wall clock shows beyond the true time. */
  wallOffsetMs = 0;
  #stoodStillMs = 0;
  #suspendedAtMs: number | undefined;

  get isSuspended(): boolean {
    return this.#suspendedAtMs !== undefined;
  }

  /** Milliseconds of suspension until now, as of the last resumption. */
  get stoodStillMs(): number {
    return this.#stoodStillMs;
  }

  monotonic(nowMs: number): number {
    return (this.#suspendedAtMs ?? nowMs) - this.#stoodStillMs;
  }

  suspend(nowMs: number): void {
    this.#suspendedAtMs ??= nowMs;
  }

  /** Returns how long it was suspended. */
  resume(nowMs: number): number {
    const lastedMs = nowMs - (this.#suspendedAtMs ?? nowMs);
    this.#suspendedAtMs = undefined;
    this.#stoodStillMs += lastedMs;
    return lastedMs;
  }
}
