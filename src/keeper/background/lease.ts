/** The right of one run to go on while nobody is seen who wants it: counted here, whatever front and connection do. */
import type { Clock, Timer } from "../../clock.ts";

export class RunLease implements Disposable {
  readonly #leaseMs: number;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  /** On the monotonic clock: a wall clock that is set forward must end nothing, and one set back must not keep anything. */
  #until: number;
  #timer: Timer | undefined;

  /** `leaseMs` above 0. Runs from now on. */
  constructor(leaseMs: number, clock: Clock, onOver: () => void) {
    this.#leaseMs = leaseMs;
    this.#clock = clock;
    this.#onOver = onOver;
    this.#until = this.#clock.monotonic() + leaseMs;
    this.#arm();
  }

  renew(): void {
    this.#until = this.#clock.monotonic() + this.#leaseMs;
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
  }

  /** One timer that looks again, instead of a new one with each renewal. */
  #arm(): void {
    const restMs = this.#until - this.#clock.monotonic();
    if (restMs <= 0) return this.#onOver();
    this.#timer = this.#clock.after(Math.ceil(restMs), () => this.#arm());
  }
}
