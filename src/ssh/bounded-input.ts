/** Bounds what a remote host may send: lines in constant memory and linear time, stderr at the reader's pace. */
import type { Readable } from "node:stream";
import type { Clock, Timer } from "../clock.ts";

export interface LineBounds {
  /** Bytes of a line that are passed on; the rest is dropped. */
  keptBytesMax: number;
  /** A line longer than this ends reading. */
  lineBytesMax: number;
  /** Gets the line without its newline. Returns false to stop reading. */
  onLine: (line: string) => boolean;
  /** A line was longer than `lineBytesMax`. */
  onExcess: () => void;
}

const newline = 10;

export class BoundedLines {
  readonly #bounds: LineBounds;
  readonly #kept: Buffer;
  /** Of the unfinished line. */
  #bytes = 0;
  #stopped = false;

  constructor(bounds: LineBounds) {
    this.#bounds = bounds;
    this.#kept = Buffer.alloc(bounds.keptBytesMax);
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#stopped;) {
      const end = chunk.indexOf(newline, at);
      const to = end < 0 ? chunk.length : end;
      if (this.#bytes < this.#kept.length) chunk.copy(this.#kept, this.#bytes, at, to);
      this.#bytes += to - at;
      at = to + 1;
      if (this.#bytes > this.#bounds.lineBytesMax) {
        this.#stopped = true;
        this.#bounds.onExcess();
      } else if (end >= 0) this.#stopped = !this.#bounds.onLine(this.#take());
    }
  }

  #take(): string {
    const line = this.#kept.toString("utf8", 0, Math.min(this.#bytes, this.#kept.length));
    this.#bytes = 0;
    return line.endsWith("\r") ? line.slice(0, -1) : line;
  }
}

/** Bytes per window; above it the pipe is not read until the window ends. The window's length is in milliseconds. */
const windowBytesMax = 128 * 1024;
const windowMs = 50;

export function readPaced(stream: Readable, clock: Clock, take: (chunk: Buffer) => void): void {
  let bytes = 0;
  let timer: Timer | undefined;
  stream.on("data", (chunk: Buffer) => {
    take(chunk);
    bytes += chunk.length;
    if (bytes <= windowBytesMax || timer !== undefined) return;
    stream.pause();
    timer = clock.after(windowMs, () => {
      timer = undefined;
      bytes = 0;
      stream.resume();
    });
  });
  stream.once("close", () => timer?.clear());
}
