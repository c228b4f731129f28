/** How long to wait before the next try: doubling, with full jitter, so that a gateway that comes back is not met by all at once. */
import type { Random } from "../../random.ts";

const firstMs = 250;
const lastMs = 15_000;

export class BackOff {
  readonly #random: Random;
  #nextMs = firstMs;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds to wait now; the next time it may be twice as long. */
  next(): number {
    const ms = Math.round(this.#random.fraction() * this.#nextMs);
    this.#nextMs = Math.min(this.#nextMs * 2, lastMs);
    return ms;
  }

  reset(): void {
    this.#nextMs = firstMs;
  }
}
