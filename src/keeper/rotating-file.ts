/** A file that only grows to a limit: then it is put aside under a number, and the oldest of those is dropped. */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

export interface RotationLimits {
  /** Largest size of one file, in bytes; a single write that is larger goes into a file of its own. */
  fileBytesMax: number;
  /** Older files kept beside it: `<path>.1` is the youngest of them. */
  olderMax: number;
}

export class RotatingFile {
  readonly #path: string;
  readonly #limits: RotationLimits;
  #descriptor: number | undefined;
  #bytes = 0;

  constructor(path: string, limits: RotationLimits) {
    this.#path = path;
    this.#limits = limits;
  }

  /** Written when it returns: the last line before a crash is the one that matters. */
  write(chunk: string | Uint8Array): void {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    // A full disk must not end the gateway; what could not be written is lost.
    try {
      this.#descriptor ??= this.#open();
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#limits.fileBytesMax) this.#descriptor = this.#rotate();
      this.#bytes += writeSync(this.#descriptor, bytes);
    } catch {
      // Nowhere to say it: this is the log.
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    const descriptor = openSync(this.#path, "a", 0o600);
    this.#bytes = fstatSync(descriptor).size;
    return descriptor;
  }

  #rotate(): number {
    this.close();
    const { olderMax } = this.#limits;
    rmSync(`${this.#path}.${olderMax}`, { force: true });
    for (let number = olderMax - 1; number >= 1; number--)
      move(`${this.#path}.${number}`, `${this.#path}.${number + 1}`);
    if (olderMax > 0) move(this.#path, `${this.#path}.1`);
    else rmSync(this.#path, { force: true });
    return this.#open();
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // There is no such older file yet.
  }
}
