/**
 * Holds a run that somebody waits for in the foreground to the pace of that reader, so that none of its output is written
 * over unread. A reader that is gone does not hold it up for long; nobody else who looks on ever does.
 */

export interface PaceParts {
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
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: PaceParts) {
    this.#parts = parts;
  }

  printedMore(): void {
    if (this.#holds || this.#readerIsGone || !this.#isFarBehind()) return;
    this.#holds = true;
    this.#parts.pause();
    this.#timer = setTimeout(() => {
      this.#readerIsGone = true;
      this.#letGo();
    }, this.#parts.readerBoundMs);
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
    clearTimeout(this.#timer);
    if (!this.#holds) return;
    this.#holds = false;
    this.#parts.resume();
  }
}
