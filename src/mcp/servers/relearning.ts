/**
 * Learns a server's lists anew when it says that they are others now, one time after the other: a server may announce each of
 * a thousand tools, or another change with each list that it tells.
 */
import type { Clock } from "../../clock.ts";

/** Between two looks at the lists of a server that goes on saying that they changed. */
const pauseMs = 200;

export class Relearning {
  /** A change was said that was not learnt yet. */
  isDue = false;
  readonly #clock: Clock;
  readonly #learn: () => Promise<void>;
  #isAtIt = false;

  /** `learn` never rejects; of a server that is gone it learns nothing. */
  constructor(clock: Clock, learn: () => Promise<void>) {
    this.#clock = clock;
    this.#learn = learn;
  }

  begin(): void {
    this.isDue = true;
    if (!this.#isAtIt) void this.#go(); // never rejects
  }

  async #go(): Promise<void> {
    this.#isAtIt = true;
    while (this.isDue) {
      this.isDue = false;
      await this.#learn();
      await new Promise<void>((resolve) => this.#clock.after(pauseMs, resolve));
    }
    this.#isAtIt = false;
  }
}
