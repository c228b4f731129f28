/**
 * Tries again to end what could not be ended: by itself, slowly less often, and whenever it is asked. A process of another
 * user or one that hangs in the kernel may go at any time, and nobody tells.
 */
import type { Clock, Timer } from "../clock.ts";

/** The wait after the first try; each next one is twice as long, in milliseconds. */
const firstWaitMs = 1000;
const longestWaitMs = 30_000;
/** For one try. */
const attemptBoundMs = 2000;

export interface RepeatedEndParts<T> {
  clock: Clock;
  /** Looks, and ends what it can within the bound. Resolves with what is left. Never rejects. */
  attempt(boundMs: number): Promise<T[]>;
  /** After a try that left something. */
  onLeft(left: T[]): void;
  /** Nothing is left. Runs once; it is over then. Never rejects. */
  onGone(): Promise<void> | void;
}

export class RepeatedEnd<T = unknown> implements Disposable {
  readonly #parts: RepeatedEndParts<T>;
  #waitMs = firstWaitMs;
  #timer: Timer | undefined;
  #trying: Promise<void> | undefined;
  #isOver = false;

  /** The first try was made, and left something. */
  constructor(parts: RepeatedEndParts<T>) {
    this.#parts = parts;
    this.#arm();
  }

  /** Tries now, or joins a try that is under way. Resolves when it is known what is left. */
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
