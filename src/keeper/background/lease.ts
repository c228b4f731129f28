/** The right of one run to go on while nobody is seen who wants it: counted here, whatever front and connection do. */

export class RunLease implements Disposable {
  readonly #leaseMs: number;
  readonly #onOver: () => void;
  /** On the monotonic clock: a wall clock that is set forward must end nothing, and one set back must not keep anything. */
  #until: number;
  #timer: NodeJS.Timeout | undefined;

  /** `leaseMs` above 0. Runs from now on. */
  constructor(leaseMs: number, onOver: () => void) {
    this.#leaseMs = leaseMs;
    this.#onOver = onOver;
    this.#until = performance.now() + leaseMs;
    this.#arm();
  }

  renew(): void {
    this.#until = performance.now() + this.#leaseMs;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  /** One timer that looks again, instead of a new one with each renewal. */
  #arm(): void {
    const restMs = this.#until - performance.now();
    if (restMs <= 0) return this.#onOver();
    this.#timer = setTimeout(() => this.#arm(), Math.ceil(restMs));
  }
}
