/** A clock that a test moves by hand: leases and deadlines without a wait. */
import type { Clock, Timer } from "../../src/clock.ts";

export class ManualClock implements Clock {
  #now = 1_000_000;
  #setBy = 0;
  readonly #timers = new Set<{ at: number; action: () => void }>();

  now(): number {
    return this.#now + this.#setBy;
  }

  monotonic(): number {
    return this.#now;
  }

  /** Somebody sets the wall clock, forward or back. */
  setWallClock(byMs: number): void {
    this.#setBy += byMs;
  }

  after(ms: number, action: () => void): Timer {
    const timer = { at: this.#now + ms, action };
    this.#timers.add(timer);
    return { clear: () => void this.#timers.delete(timer) };
  }

  /** Timers that are set and not yet due: a suite that is done has none. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on, firing what becomes due in order, also what that sets anew. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.action();
    }
    this.#now = end;
  }
}
