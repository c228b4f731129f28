/** Time that stands still while the event loop is blocked. */
import type { Clock } from "../../clock.ts";

/**
 * Milliseconds from an arbitrary zero, without the time in which our own event loop was blocked and could not hear
 * clients.
 */
export class LoopTime {
  /** Most that counts between two ticks. */
  readonly #tickMsMax: number;
  #now = 0;
  readonly #clock: Clock;
  #lastTick: number;
  /** Delay of the last tick. */
  lagMs = 0;

  constructor(tickMs: number, clock: Clock) {
    this.#clock = clock;
    this.#lastTick = clock.monotonic();
    this.#tickMsMax = tickMs * 2;
  }

  /** Called once a tick, before any check. */
  tick(tickMs: number): number {
    const real = this.#clock.monotonic();
    const passed = real - this.#lastTick;
    this.#lastTick = real;
    this.lagMs = Math.max(0, passed - tickMs);
    this.#now += Math.min(passed, this.#tickMsMax);
    return this.#now;
  }

  /** Ticks resume after a pause, which does not count. */
  resume(): void {
    this.#lastTick = this.#clock.monotonic();
  }

  get now(): number {
    return this.#now + Math.min(this.#clock.monotonic() - this.#lastTick, this.#tickMsMax);
  }
}
