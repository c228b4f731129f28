/** How many servers may be starting at one time. Whoever comes later waits in line; nobody is refused. */

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

  /** Resolves with what must be called, once, when the start is over. */
  async enter(): Promise<() => void> {
    if (this.#inside >= this.#max) await new Promise<void>((resolve) => this.#line.push(resolve));
    else this.#inside++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#line.shift();
      // The place is handed on, so that nobody can slip in between.
      if (next === undefined) this.#inside--;
      else next();
    };
  }
}
