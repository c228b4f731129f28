/** The clocks of one background run: time for the command, for the whole run, and for silence. */
import type { Clock, Timer } from "../../clock.ts";
import type { EndReason } from "../protocol/messages.ts";

export interface WatchdogLimits {
  /** For the command itself; off once it has ended. 0 = none, here and below. */
  timeoutMs: number;
  /** Without output, input or a viewer. */
  noOutputTimeoutMs: number;
  /** For the whole run, with what the command left behind. */
  maxLifetimeMs: number;
}

export class Watchdog implements Disposable {
  readonly #limits: WatchdogLimits;
  readonly #clock: Clock;
  readonly #lastActivityAt: () => number;
  readonly #onOver: (reason: EndReason) => void;
  readonly #timers = new Map<keyof WatchdogLimits, Timer>();

  /** `lastActivityAt`: when the last sign of use was, on the monotonic clock in milliseconds; asked when the silence might be over its limit. */
  constructor(limits: WatchdogLimits, clock: Clock, lastActivityAt: () => number, onOver: (reason: EndReason) => void) {
    this.#limits = limits;
    this.#clock = clock;
    this.#lastActivityAt = lastActivityAt;
    this.#onOver = onOver;
  }

  start(): void {
    const { timeoutMs, noOutputTimeoutMs, maxLifetimeMs } = this.#limits;
    this.#arm("timeoutMs", timeoutMs, () => this.#onOver("timeout"));
    this.#arm("maxLifetimeMs", maxLifetimeMs, () => this.#onOver("lease-expired"));
    this.#arm("noOutputTimeoutMs", noOutputTimeoutMs, () => this.#listen());
  }

  commandEnded(): void {
    this.#timers.get("timeoutMs")?.clear();
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers.values()) timer.clear();
  }

  /** One timer for the whole life: it is set again from the last activity instead of with each one. */
  #listen(): void {
    const restMs = this.#lastActivityAt() + this.#limits.noOutputTimeoutMs - this.#clock.monotonic();
    if (restMs <= 0) this.#onOver("no-output");
    else this.#arm("noOutputTimeoutMs", restMs, () => this.#listen());
  }

  #arm(which: keyof WatchdogLimits, ms: number, action: () => void): void {
    if (ms > 0) this.#timers.set(which, this.#clock.after(ms, action));
  }
}
