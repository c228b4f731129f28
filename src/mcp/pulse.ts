/** One timer for everything that must be looked at now and then: open streams, long waits, questions nobody heard. */
import type { Clock, Timer } from "../clock.ts";

/** Shorter than the idle limits of proxies (30 to 60 s) and of the fetch that clients use (300 s). */
export const pulseMs = 15_000;

export interface Beating {
  beat(now: number): void;
}

export class Pulse {
  readonly #clock: Clock;
  readonly #members = new Set<Beating>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(member: Beating): void {
    this.#members.add(member);
    if (this.#timer === undefined) this.#arm();
  }

  remove(member: Beating): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.after(pulseMs, () => {
      this.#timer = undefined;
      const now = this.#clock.monotonic();
      for (const member of this.#members) member.beat(now);
      if (this.#members.size > 0) this.#arm();
    });
  }
}
