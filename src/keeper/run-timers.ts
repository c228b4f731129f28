/** The timers of one run: command timeout, lifetime, silence, lease, and time without a front. */
import type { EndReason } from "../protocol/run.ts";
import type { Clock, Timer } from "../clock.ts";

/** In milliseconds; 0 = no limit, except for `keepMs`. */
export interface RunTimes {
  /** Limit of the command itself; off once it has ended. */
  timeoutMs: number;
  /** Limit without output, input or a viewer. */
  noOutputTimeoutMs: number;
  /** Limit of the whole run, including descendants. */
  maxLifetimeMs: number;
  /** Limit without a renewal, independent of front and connection. */
  leaseMs: number;
  /** Limit without a front. */
  keepMs: number;
}

/** Polling interval for a tree whose command has ended: the kernel does not report the last exit. */
const emptyLookMs = 1000;

export interface RunTimersParts {
  clock: Clock;
  /** Time of last use, on the monotonic clock in milliseconds; Infinity while it has a viewer. */
  lastActivityAt: () => number;
  onOver: (reason: EndReason) => void;
  /** Ends the run if it is empty. */
  look: () => void;
}

export class RunTimers implements Disposable {
  readonly #times: RunTimes;
  readonly #parts: RunTimersParts;
  readonly #timers = new Map<keyof RunTimes | "look", Timer>();
  #leaseUntil = 0;

  constructor(times: RunTimes, parts: RunTimersParts) {
    this.#times = times;
    this.#parts = parts;
  }

  start(): void {
    const { timeoutMs, noOutputTimeoutMs, maxLifetimeMs, leaseMs } = this.#times;
    const now = this.#parts.clock.monotonic();
    if (timeoutMs > 0) this.#arm("timeoutMs", "timeout", () => now + timeoutMs);
    if (maxLifetimeMs > 0) this.#arm("maxLifetimeMs", "lease-expired", () => now + maxLifetimeMs);
    if (noOutputTimeoutMs > 0)
      this.#arm("noOutputTimeoutMs", "no-output", () => {
        return Math.min(this.#parts.lastActivityAt(), this.#parts.clock.monotonic()) + noOutputTimeoutMs;
      });
    if (leaseMs > 0 && this.renew()) this.#arm("leaseMs", "lease-expired", () => this.#leaseUntil);
  }

  /** The command ended and its descendants are kept. */
  commandEnded(): void {
    this.#clear("timeoutMs");
    if (!this.#timers.has("look")) this.#look();
  }

  /** Renews the lease. False: there is no lease. */
  renew(): boolean {
    this.#leaseUntil = this.#parts.clock.monotonic() + this.#times.leaseMs;
    return this.#times.leaseMs > 0;
  }

  frontLost(): void {
    const until = this.#parts.clock.monotonic() + this.#times.keepMs;
    this.#arm("keepMs", "front-lost", () => until);
  }

  frontBack(): void {
    this.#clear("keepMs");
  }

  [Symbol.dispose](): void {
    for (const name of this.#timers.keys()) this.#clear(name);
  }

  /** One timer per limit: when it fires, it is set again for the remaining time. */
  #arm(name: keyof RunTimes, reason: EndReason, until: () => number): void {
    const restMs = until() - this.#parts.clock.monotonic();
    this.#clear(name);
    if (restMs <= 0) return this.#parts.onOver(reason);
    this.#timers.set(
      name,
      this.#parts.clock.after(Math.ceil(restMs), () => this.#arm(name, reason, until)),
    );
  }

  #look(): void {
    const again = this.#parts.clock.after(emptyLookMs, () => {
      this.#look();
      this.#parts.look();
    });
    this.#timers.set("look", again);
  }

  #clear(name: keyof RunTimes | "look"): void {
    this.#timers.get(name)?.clear();
    this.#timers.delete(name);
  }
}
