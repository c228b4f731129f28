/** Ids for what this front asks: frontEpoch · 2³¹ + n, so that no answer to an earlier front is ever taken for one to this. */

const epochSpan = 2 ** 31;

export class Numbers {
  readonly #base: number;
  #next = 0;

  constructor(frontEpoch: number) {
    this.#base = frontEpoch * epochSpan;
  }

  next(): number {
    this.#next = (this.#next + 1) % epochSpan;
    return this.#base + this.#next;
  }
}
