/**
 * Fetches a server's lists again when it announces changes, one fetch at a time: a server may announce each of a
 * thousand tools, or another change with each list.
 */
import type { Clock } from "../../clock.ts";

/** Pause between fetches for a server that keeps announcing changes. */
const pauseMs = 200;

export class Relearning {
  /** A change was announced since the last fetch. */
  isDue = false;
  readonly #clock: Clock;
  readonly #learn: () => Promise<void>;
  #isAtIt = false;

  /** `learn` never rejects; for a closed server it does nothing. */
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
