/** How often a helper process may be restarted before something is wrong with more than the helper. */

export class RestartIntensity {
  readonly #restartsMax: number;
  readonly #windowMs: number;
  #times: number[] = [];

  constructor(restartsMax: number, windowMs: number) {
    this.#restartsMax = restartsMax;
    this.#windowMs = windowMs;
  }

  /** Counts one more restart at `now`, on a monotonic clock; false when that is one too many within the window. */
  allows(now: number): boolean {
    this.#times = this.#times.filter((time) => now - time < this.#windowMs);
    this.#times.push(now);
    return this.#times.length <= this.#restartsMax;
  }
}
