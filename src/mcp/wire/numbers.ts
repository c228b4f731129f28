/** Ids for requests of this front: frontEpoch · 2³¹ + n, so that an answer to an earlier front is never mistaken. */

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
