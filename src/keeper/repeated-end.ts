/**
 * Retries ending survivors: automatically with growing intervals, and on request. A process of another user or one stuck in the
 * kernel may disappear at any time, without notice.
 */
import type { Clock, Timer } from "../clock.ts";

/** Wait after the first attempt, doubled each time, in milliseconds. */
const firstWaitMs = 1000;
const longestWaitMs = 30_000;
/** Per attempt. */
const attemptBoundMs = 2000;

export interface RepeatedEndParts<T> {
  clock: Clock;
  /** Looks, and ends what it can within the bound. Resolves with the survivors. Never rejects. */
  attempt(boundMs: number): Promise<T[]>;
  /** Called after an attempt with survivors. */
  onLeft(left: T[]): void;
  /** Called once when everything is gone. Never rejects. */
  onGone(): Promise<void> | void;
}

export class RepeatedEnd<T = unknown> implements Disposable {
  readonly #parts: RepeatedEndParts<T>;
  #waitMs = firstWaitMs;
  #timer: Timer | undefined;
  #trying: Promise<void> | undefined;
  #isOver = false;

  /** Created after a first attempt that left survivors. */
  constructor(parts: RepeatedEndParts<T>) {
    this.#parts = parts;
    this.#arm();
  }

  /** Tries now, or joins an attempt under way. Resolves when the survivors are known. */
  ask(): Promise<void> {
    if (this.#isOver) return this.#trying ?? Promise.resolve();
    this.#trying ??= this.#try().finally(() => {
      this.#trying = undefined;
    });
    return this.#trying;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.clear();
  }

  async #try(): Promise<void> {
    this.#timer?.clear();
    const left = await this.#parts.attempt(attemptBoundMs);
    if (this.#isOver) return;
    if (left.length === 0) {
      this.#isOver = true;
      await this.#parts.onGone();
      return;
    }
    this.#parts.onLeft(left);
    this.#arm();
  }

  #arm(): void {
    this.#timer = this.#parts.clock.after(this.#waitMs, () => void this.ask()); // never rejects
    this.#waitMs = Math.min(this.#waitMs * 2, longestWaitMs);
  }
}
