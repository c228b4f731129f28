/**
 * Counts wrong tokens by client address. Who sends too many of them hears "too many" in place of "wrong", once a window in
 * the log. The right token is never refused for what others at the same address did: it is compared first.
 */

import { normalAddress } from "./connections/connection.ts";

/** Wrong tokens from one address within the window before the answer is 429. */
const failuresMax = 20;
const windowMs = 60_000;
/** Addresses remembered; the one that failed longest ago makes room. */
const addressesMax = 10_000;

interface Failures {
  count: number;
  /** When the window began. */
  since: number;
}

export class Throttle {
  readonly #failures = new Map<string, Failures>();
  /** Wrong tokens in all, since the start. */
  failures = 0;
  readonly #onLimit: (address: string, failures: number) => void;

  /** `onLimit` runs once per address and window. */
  constructor(onLimit: (address: string, failures: number) => void) {
    this.#onLimit = onLimit;
  }

  /** Counts one wrong token; the milliseconds to wait when it is one too many, else 0. */
  failed(address: string | undefined, now: number): number {
    this.failures++;
    const key = normalAddress(address);
    const known = this.#failures.get(key);
    const current = known === undefined || now - known.since >= windowMs ? { count: 0, since: now } : known;
    current.count++;
    // Set anew, so that the order of the map is the order of the last failures.
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

  /** Addresses in memory. */
  get size(): number {
    return this.#failures.size;
  }
}
