/** Restart limit of a helper process: more restarts point to a problem outside the helper. */

export class RestartIntensity {
  readonly #restartsMax: number;
  readonly #windowMs: number;
  #times: number[] = [];

  constructor(restartsMax: number, windowMs: number) {
    this.#restartsMax = restartsMax;
    this.#windowMs = windowMs;
  }

  /** Counts one restart at `now`, on a monotonic clock; false when it exceeds the limit within the window. */
  allows(now: number): boolean {
    this.#times = this.#times.filter((time) => now - time < this.#windowMs);
    this.#times.push(now);
    return this.#times.length <= this.#restartsMax;
  }
}
