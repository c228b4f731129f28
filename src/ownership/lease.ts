/**
 * The right to live without a present owner, for a bounded time: `onExpired` runs once, `idleMs` after the last holder
 * left.
 */
import type { Clock, Timer } from "../clock.ts";

export class Lease {
  /** Last presence, in milliseconds since 1970. */
  lastSeenAt: number;
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #onExpired: () => void;
  #holders = 0;
  #timer: Timer | undefined;
  readonly #above: Lease | undefined;
  readonly #leftListeners = new Set<() => void>();
  /** The same on the monotonic clock, which decides. */
  #quietSince: number;
  #ended = false;

  /** `seenAt`: last presence before this lease. Holders also hold `above`. */
  constructor(clock: Clock, idleMs: number, onExpired: () => void, seenAt = clock.now(), above?: Lease) {
    this.#above = above;
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#onExpired = onExpired;
    this.lastSeenAt = seenAt;
    this.#quietSince = clock.monotonic() - Math.max(0, clock.now() - seenAt);
    this.#arm(this.#quietSince + idleMs - clock.monotonic());
  }

  get holders(): number {
    return this.#holders;
  }

  /** Marks a present holder. Returns an idempotent function that ends this. */
  hold(): () => void {
    this.#holders++;
    this.#seen();
    const leaveAbove = this.#above?.hold();
    let left = false;
    return () => {
      if (left) return;
      left = true;
      leaveAbove?.();
      this.#holders--;
      this.#seen();
      if (this.#holders > 0) return;
      if (this.#timer === undefined) this.#arm(this.#idleMs);
      for (const listener of this.#leftListeners) listener();
    };
  }

  /** `listener` runs when the last holder leaves. Returns the unsubscriber. */
  whenLeft(listener: () => void): () => void {
    this.#leftListeners.add(listener);
    return () => void this.#leftListeners.delete(listener);
  }

  #seen(): void {
    this.lastSeenAt = this.#clock.now();
    this.#quietSince = this.#clock.monotonic();
  }

  end(): void {
    this.#ended = true;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  /** The timer checks the time when it fires: moving it would cost on every message. */
  #arm(ms: number): void {
    if (this.#ended) return;
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined;
      if (this.#holders > 0) return;
      const leftMs = this.#quietSince + this.#idleMs - this.#clock.monotonic();
      if (leftMs > 0) return this.#arm(leftMs);
      this.end();
      this.#onExpired();
    });
  }
}
