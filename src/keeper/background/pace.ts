/**
 * Holds a foreground run to the pace of its reader, so that unread output is never overwritten. A reader that has gone delays
 * it only briefly; other viewers never do.
 */
import type { Clock, Timer } from "../../clock.ts";

export interface PaceParts {
  clock: Clock;
  /** Bytes that the reader may be behind. */
  behindMax: number;
  /** A reader without a request for this long counts as gone. */
  readerBoundMs: number;
  printed: () => number;
  pause: () => void;
  resume: () => void;
}

export class Pace implements Disposable {
  readonly #parts: PaceParts;
  #readTo = 0;
  #holds = false;
  #readerIsGone = false;
  #timer: Timer | undefined;

  constructor(parts: PaceParts) {
    this.#parts = parts;
  }

  printedMore(): void {
    if (this.#holds || this.#readerIsGone || !this.#isFarBehind()) return;
    this.#holds = true;
    this.#parts.pause();
    this.#timer = this.#parts.clock.after(this.#parts.readerBoundMs, () => {
      this.#readerIsGone = true;
      this.#letGo();
    });
  }

  /** The reader has everything before `offset`. */
  readTo(offset: number): void {
    this.#readTo = Math.max(this.#readTo, offset);
    this.#readerIsGone = false;
    if (this.#holds && !this.#isFarBehind()) this.#letGo();
  }

  [Symbol.dispose](): void {
    this.#readerIsGone = true;
    this.#letGo();
  }

  #isFarBehind(): boolean {
    return this.#parts.printed() - this.#readTo > this.#parts.behindMax;
  }

  #letGo(): void {
    this.#timer?.clear();
    if (!this.#holds) return;
    this.#holds = false;
    this.#parts.resume();
  }
}
