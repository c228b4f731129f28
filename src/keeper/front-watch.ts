/**
 * Notices a front that is alive and does not turn. The silence that counts is the front's own: what the keeper itself was
 * late, and what the machine did not let the front run, is not held against it.
 */
import type { Clock, Timer } from "../clock.ts";
import type { ProcessState } from "../platform/types.ts";

/** How the kernel sees the front now. */
export interface FrontSign {
  state: ProcessState;
  /** Processor time so far, in milliseconds. */
  cpuMs: number;
}

export interface WatchParts {
  clock: Clock;
  /** Silence after which a front is stuck, in milliseconds. 0 = it never is. */
  stuckMs: number;
  /** Undefined where the system does not tell. */
  look: () => FrontSign | undefined;
  onStuck: (silentMs: number, state: ProcessState) => void;
}

/** A front that has not said its first word is still loading its program; a slow disk may take long over that. */
const startMs = 30_000;
/** Looks within the bound: silence is noticed at most an eighth late. */
const looksPerBound = 8;
/** A front gives a sign each second; the kernel is asked only when more than two are missing. */
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
  /** The latest that a look came, in milliseconds: how late the keeper's own loop was. */
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

  /** The front said something, whatever it was: its loop turns. */
  heard(): void {
    this.#hasSpoken = true;
    this.#silentMs = 0;
    this.#cpuMs = undefined;
  }

  /**
   * One look. However late it comes (a busy keeper, a suspended machine), it adds no more than the time between two looks:
   * what the front said meanwhile may still wait to be read.
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

  /** The part of the last interval in which the front could have given a sign. */
  #ownSilence(): number {
    const sign = this.#parts.look();
    if (sign === undefined) return this.everyMs;
    const ranMs = sign.cpuMs - (this.#cpuMs ?? sign.cpuMs);
    this.#cpuMs = sign.cpuMs;
    // Waiting for a processor, or for a disk or swap: that is the machine, but for the time in which it did run.
    if (sign.state === "running" || sign.state === "uninterruptible") return Math.min(ranMs, this.everyMs);
    return this.everyMs;
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}
