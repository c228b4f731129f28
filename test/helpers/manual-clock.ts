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

  /** Sets the wall clock forward or back. */
  setWallClock(byMs: number): void {
    this.#setBy += byMs;
  }

  after(ms: number, action: () => void): Timer {
    const timer = { at: this.#now + ms, action };
    this.#timers.add(timer);
    return { clear: () => void this.#timers.delete(timer) };
  }

  every(ms: number, action: () => void): Timer {
    const again = () => {
      timer = this.after(ms, again);
      action();
    };
    let timer = this.after(ms, again);
    return { clear: () => timer.clear() };
  }

  soon(action: () => void): Timer {
    return this.after(0, action);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(new DOMException("This operation was aborted", "AbortError"));
      const abort = () => {
        timer.clear();
        reject(new DOMException("This operation was aborted", "AbortError"));
      };
      const timer = this.after(ms, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Timers that are not yet due: a finished suite has none. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on and fires what becomes due in order, including timers set on the way. */
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
