/** A file of limited size: when full it is renamed with a number, and the oldest one is removed. */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { replaceByRename } from "../rename.ts";

const lineEnd = 0x0a;

export interface RotationLimits {
  /** Largest size of one file, in bytes; a larger single write gets its own file. */
  fileBytesMax: number;
  /** Number of older files; `<path>.1` is the newest of them. */
  olderMax: number;
}

export class RotatingFile {
  readonly #path: string;
  readonly #limits: RotationLimits;
  #descriptor: number | undefined;
  #bytes = 0;
  /** The last line has no end: a crash or a full disk cut it. */
  #isCut = false;

  constructor(path: string, limits: RotationLimits) {
    this.#path = path;
    this.#limits = limits;
  }

  /** Synchronous: the last line before a crash matters most. */
  write(chunk: string | Uint8Array): void {
    let bytes: Uint8Array = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    // A full disk must not end the gateway; unwritten lines are lost.
    try {
      this.#descriptor ??= this.#open();
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#limits.fileBytesMax) this.#descriptor = this.#rotate();
      // A cut line spoils only itself.
      if (this.#isCut) bytes = Buffer.concat([Buffer.from("\n"), bytes]);
      const written = writeSync(this.#descriptor, bytes);
      this.#bytes += written;
      if (written > 0) this.#isCut = bytes[written - 1] !== lineEnd;
    } catch {
      // Unreportable: this is the log.
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    const descriptor = openSync(this.#path, "a+", 0o600);
    this.#bytes = fstatSync(descriptor).size;
    const last = Buffer.of(lineEnd);
    if (this.#bytes > 0) readSync(descriptor, last, 0, 1, this.#bytes - 1);
    this.#isCut = last[0] !== lineEnd;
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
    replaceByRename(from, to);
  } catch {
    // the older file is missing so far
  }
}
