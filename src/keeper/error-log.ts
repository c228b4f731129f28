/** A run's stderr: on disk, bounded, newest bytes kept; the tail in memory for error messages. */
import { closeSync, openSync, writeSync } from "node:fs";
import { replaceByRename } from "../rename.ts";

/** Bytes per file; one older file is kept. */
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

  /** The last lines, for people. */
  get tail(): string {
    return this.#tail;
  }

  /** Never throws: bytes refused by a full disk, or without a free descriptor, are kept only in the tail. */
  write(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString("utf8")).slice(-tailBytesMax);
    try {
      if (this.#bytes + chunk.length > fileBytesMax) this.#rotate();
      this.#descriptor ??= openSync(this.#path, "a", 0o600);
      this.#bytes += writeSync(this.#descriptor, chunk);
    } catch {
      // A server's stderr is diagnostic; lack of space ends neither run nor keeper.
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #rotate(): void {
    if (this.#descriptor === undefined) return;
    this.close();
    replaceByRename(this.#path, `${this.#path}.1`);
    this.#bytes = 0;
  }
}
