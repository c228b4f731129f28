/**
 * Detects a front whose event loop is blocked. Only the front's own silence counts: delays of the keeper, and time in which the
 * machine did not run the front, are excluded.
 */
import type { Clock, Timer } from "../clock.ts";
import type { ProcessState } from "../platform/types.ts";

/** The kernel's view of the front. */
export interface FrontSign {
  state: ProcessState;
  /** Processor time so far, in milliseconds. */
  cpuMs: number;
}

export interface WatchParts {
  clock: Clock;
  /** Silence after which a front is stuck, in milliseconds. 0 = never. */
  stuckMs: number;
  /** Undefined where the system gives no figures. */
  look: () => FrontSign | undefined;
  onStuck: (silentMs: number, state: ProcessState) => void;
}

/** A front before its first message is still loading its program, which a slow disk may delay. */
const startMs = 30_000;
/** Looks per bound: silence is noticed at most an eighth late. */
const looksPerBound = 8;
/** A front sends a heartbeat each second; the kernel is asked only after two are missing. */
const patienceMs = 2000;

export class FrontWatch {
  /** Time between two looks, in milliseconds. */
  readonly everyMs: number;
  readonly #parts: WatchParts;
  #silentMs = 0;
  #hasSpoken = false;
  #over = false;
  #cpuMs: number | undefined;
  #timer: Timer | undefined;
  #lastTick: number;
  /** Largest delay of a look, in milliseconds: the lag of the keeper's own loop. */
  lagMs = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#lastTick = parts.clock.monotonic();
    this.everyMs = Math.max(100, Math.round(parts.stuckMs / looksPerBound));
  }

  start(): void {
    if (this.#parts.stuckMs === 0) return;
    this.#lastTick = this.#parts.clock.monotonic();
    this.#timer = this.#parts.clock.every(this.everyMs, () => this.tick());
  }

  /** Any message from the front proves that its loop runs. */
  heard(): void {
    this.#hasSpoken = true;
    this.#silentMs = 0;
    this.#cpuMs = undefined;
  }

  /**
   * One look. However late (busy keeper, suspended machine), it adds at most one interval: messages from the front may still be
   * unread.
   */
  tick(): void {
    const now = this.#parts.clock.monotonic();
    this.lagMs = Math.max(this.lagMs, now - this.#lastTick - this.everyMs);
    this.#lastTick = now;
    if (this.#over) return;
    this.#silentMs += this.#silentMs < patienceMs ? this.everyMs : this.#ownSilence();
    const bound = this.#hasSpoken ? this.#parts.stuckMs : Math.max(startMs, this.#parts.stuckMs);
    if (this.#silentMs <= bound) return;
    const silentMs = Math.round(this.#silentMs);
    this[Symbol.dispose]();
    this.#over = true;
    this.#parts.onStuck(silentMs, this.#parts.look()?.state ?? "unknown");
  }

  /** The part of the last interval in which the front could have sent a heartbeat. */
  #ownSilence(): number {
    const sign = this.#parts.look();
    if (sign === undefined) return this.everyMs;
    const ranMs = sign.cpuMs - (this.#cpuMs ?? sign.cpuMs);
    this.#cpuMs = sign.cpuMs;
    // Waiting for a processor, disk or swap is the machine's delay, except for the time it did run.
    if (sign.state === "running" || sign.state === "uninterruptible") return Math.min(ranMs, this.everyMs);
    return this.everyMs;
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}
