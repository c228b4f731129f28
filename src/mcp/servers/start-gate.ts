/** Limits concurrent server starts. Further starts wait in line. */

export class StartGate {
  readonly #max: number;
  readonly #line: (() => void)[] = [];
  #inside = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get inside(): number {
    return this.#inside;
  }

  /** Resolves with the function to call, once, when the start is over. */
  async enter(): Promise<() => void> {
    if (this.#inside >= this.#max) await new Promise<void>((resolve) => this.#line.push(resolve));
    else this.#inside++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#line.shift();
      // The slot is passed on directly, so that no newcomer can take it.
      if (next === undefined) this.#inside--;
      else next();
    };
  }
}
