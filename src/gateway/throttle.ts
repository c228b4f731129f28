/**
 * Counts wrong tokens per client address: too many get 429 and one log line per window. The right token is compared
 * first and never refused.
 */

import { normalAddress } from "./connections/connection.ts";

/** Wrong tokens from one address within the window before 429. */
const failuresMax = 20;
const windowMs = 60_000;
/** Addresses kept; the least recent failure makes room. */
const addressesMax = 10_000;

interface Failures {
  count: number;
  /** Start of the window. */
  since: number;
}

export class Throttle {
  readonly #failures = new Map<string, Failures>();
  /** Wrong tokens in all. */
  failures = 0;
  readonly #onLimit: (address: string, failures: number) => void;

  /** `onLimit` runs once per address and window. */
  constructor(onLimit: (address: string, failures: number) => void) {
    this.#onLimit = onLimit;
  }

  /** Counts a wrong token; returns the milliseconds to wait above the limit, else 0. */
  failed(address: string | undefined, now: number): number {
    this.failures++;
    const key = normalAddress(address);
    const known = this.#failures.get(key);
    const current = known === undefined || now - known.since >= windowMs ? { count: 0, since: now } : known;
    current.count++;
    // Reinserted to keep the map in order of last failure.
    this.#failures.delete(key);
    this.#failures.set(key, current);
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= addressesMax) break;
      this.#failures.delete(oldest);
    }
    if (current.count <= failuresMax) return 0;
    if (current.count === failuresMax + 1) this.#onLimit(key, current.count);
    return current.since + windowMs - now;
  }

  /** Addresses kept. */
  get size(): number {
    return this.#failures.size;
  }
}
