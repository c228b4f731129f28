/**
 * Time as a client may be judged by it: it stands still while our own event loop was stuck, since what a client sent
 * meanwhile could not be heard. In milliseconds, from an arbitrary zero.
 */
export class LoopTime {
  /** Between two ticks no more than this counts. */
  readonly #tickMsMax: number;
  #now = 0;
  #lastTick = performance.now();
  /** How much later than due the last tick came. */
  lagMs = 0;

  constructor(tickMs: number) {
    this.#tickMsMax = tickMs * 2;
  }

  /** To be called once a tick, before anything is judged. */
  tick(tickMs: number): number {
    const real = performance.now();
    const passed = real - this.#lastTick;
    this.#lastTick = real;
    this.lagMs = Math.max(0, passed - tickMs);
    this.#now += Math.min(passed, this.#tickMsMax);
    return this.#now;
  }

  /** The ticks begin again after a pause: what passed meanwhile counts for nobody. */
  resume(): void {
    this.#lastTick = performance.now();
  }

  get now(): number {
    return this.#now + Math.min(performance.now() - this.#lastTick, this.#tickMsMax);
  }
}
