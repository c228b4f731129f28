/**
 * Holds a run that somebody waits for in the foreground to the pace of that reader, so that none of its output is written
 * over unread. A reader that is gone does not hold it up for long; nobody else who looks on ever does.
 */
import type { Clock, Timer } from "../../clock.ts";

export interface PaceParts {
  clock: Clock;
  /** How far the reader may be behind, in bytes. */
  behindMax: number;
  /** A reader that asks for nothing for so long is taken to be gone. */
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

  /** The reader has all before `offset`. */
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
