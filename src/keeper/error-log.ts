/** What a run wrote to stderr: on disk, bounded, with the newest bytes kept; the tail in memory for error messages. */
import { closeSync, openSync, renameSync, writeSync } from "node:fs";

/** Bytes per file; one older file is kept beside it. */
const fileBytesMax = 512 * 1024;
const tailBytesMax = 2048;

export class ErrorLog {
  readonly #path: string;
  #descriptor: number | undefined;
  #bytes = 0;
  #tail = "";

  constructor(path: string) {
    this.#path = path;
  }

  /** The last words, for people. */
  get tail(): string {
    return this.#tail;
  }

  /** Never throws: what a full disk, or a keeper without a descriptor to spare, does not take is lost but for the tail. */
  write(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString("utf8")).slice(-tailBytesMax);
    try {
      if (this.#bytes + chunk.length > fileBytesMax) this.#rotate();
      this.#descriptor ??= openSync(this.#path, "a", 0o600);
      this.#bytes += writeSync(this.#descriptor, chunk);
    } catch {
      // A server's stderr is a help to people; no run and no keeper ends for want of room for it.
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #rotate(): void {
    if (this.#descriptor === undefined) return;
    this.close();
    renameSync(this.#path, `${this.#path}.1`);
    this.#bytes = 0;
  }
}
