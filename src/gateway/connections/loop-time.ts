/** Time that stands still while the event loop is blocked. */
import type { Clock } from "../../clock.ts";

/**
 * Time as a client may be judged by it: it stands still while our own event loop was stuck, since what a client sent
 * meanwhile could not be heard. In milliseconds, from an arbitrary zero.
 */
export class LoopTime {
  /** Between two ticks no more than this counts. */
  readonly #tickMsMax: number;
  #now = 0;
  readonly #clock: Clock;
  #lastTick: number;
  /** How much later than due the last tick came. */
  lagMs = 0;

  constructor(tickMs: number, clock: Clock) {
    this.#clock = clock;
    this.#lastTick = clock.monotonic();
    this.#tickMsMax = tickMs * 2;
  }

  /** To be called once a tick, before anything is judged. */
  tick(tickMs: number): number {
    const real = this.#clock.monotonic();
    const passed = real - this.#lastTick;
    this.#lastTick = real;
    this.lagMs = Math.max(0, passed - tickMs);
    this.#now += Math.min(passed, this.#tickMsMax);
    return this.#now;
  }

  /** The ticks begin again after a pause: what passed meanwhile counts for nobody. */
  resume(): void {
    this.#lastTick = this.#clock.monotonic();
  }

  get now(): number {
    return this.#now + Math.min(this.#clock.monotonic() - this.#lastTick, this.#tickMsMax);
  }
}
