/**
 * The right to go on living without a present owner, for a bounded time. As long as somebody holds it, it cannot end;
 * `idleMs` after the last holder left, `onExpired` runs once.
 */
import type { Clock, Timer } from "../clock.ts";

export class Lease {
  /** When somebody was last seen, in milliseconds since the epoch. */
  lastSeenAt: number;
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #onExpired: () => void;
  #holders = 0;
  #timer: Timer | undefined;
  readonly #above: Lease | undefined;
  readonly #leftListeners = new Set<() => void>();
  /** As `lastSeenAt`, on the monotonic clock: whoever sets the wall clock ends nothing and keeps nothing. */
  #quietSince: number;
  #ended = false;

  /** `seenAt`: when somebody was last seen, if that was before this lease was made. Who holds it holds `above`, too. */
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

  /** Somebody is present. The returned function says that they left; calling it twice counts once. */
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

  /** `listener` runs whenever the last holder leaves. Returns what takes it off again. */
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

  /** The timer is not moved with each call, which would cost on every message: it looks at the time when it fires. */
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
