/** How long to wait before the next try: doubling, with full jitter, so that a gateway that comes back is not met by all at once. */
const firstMs = 250;
const lastMs = 15_000;

export class BackOff {
  readonly #random: () => number;
  #nextMs = firstMs;

  /** `random`: from 0 to below 1. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait now; the next time it may be twice as long. */
  next(): number {
    const ms = Math.round(this.#random() * this.#nextMs);
    this.#nextMs = Math.min(this.#nextMs * 2, lastMs);
    return ms;
  }

  reset(): void {
    this.#nextMs = firstMs;
  }
}
