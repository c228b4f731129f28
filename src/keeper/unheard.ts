/**
 * Lines in flight to a front until it acknowledges them: if it dies, the next front gets them. Bounded: the oldest are dropped
 * first.
 */

/** Above the flow control window; only a silent front reaches this. */
const bytesMax = 512 * 1024;

export class UnheardLines {
  /** Undefined: a line sent in pieces, of which no whole copy exists. */
  #lines: (Buffer | undefined)[] = [];
  #bytes = 0;
  /** Lines before the first of `#lines`, counted from the last `take`. */
  #gone = 0;

  add(line: Buffer | undefined): void {
    this.#lines.push(line);
    this.#bytes += line?.length ?? 0;
    while (this.#bytes > bytesMax) this.#forget(1);
  }

  /** The front has handled this many lines, counted from the last `take`. */
  heard(lines: number): void {
    this.#forget(Math.min(lines - this.#gone, this.#lines.length));
  }

  /** All remaining lines, in order; resets the count. */
  take(): Buffer[] {
    const left = this.#lines.filter((line) => line !== undefined);
    this.#lines = [];
    this.#bytes = 0;
    this.#gone = 0;
    return left;
  }

  #forget(count: number): void {
    if (count <= 0) return;
    this.#gone += count;
    for (const line of this.#lines.splice(0, count)) this.#bytes -= line?.length ?? 0;
  }
}
