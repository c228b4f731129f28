/** The one source of time, so that tests of leases and deadlines need no sleep. */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that only grow, whoever sets the wall clock: for intervals, deadlines and counts per time. */
  monotonic(): number;
  /** Runs `action` once after `ms`; the handle must be cleared by its owner. Never keeps the process alive by itself. */
  after(ms: number, action: () => void): Timer;
}

export interface Timer {
  clear(): void;
}

/** Longest delay that setTimeout takes, in milliseconds; longer ones would fire at once. */
const delayMsMax = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, action) {
    const timer = setTimeout(action, Math.min(Math.max(ms, 0), delayMsMax));
    timer.unref();
    return { clear: () => clearTimeout(timer) };
  },
};
