/** A pseudoterminal as its owner holds it, on every system that has them as files. */
import { closeSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import type { Terminal, TerminalSize } from "../types.ts";

/** Both descriptors are this object's from now on. */
interface PseudoTerminalParts<End extends Terminal["end"]> {
  readonly master: number;
  readonly end: End;
  /** Sets the size; the kernel sends SIGWINCH to the foreground group. */
  readonly resize: (master: number, columns: number, rows: number) => void;
}

export class PseudoTerminal<End extends Terminal["end"]> implements Terminal {
  readonly output: ReadStream;
  readonly #parts: PseudoTerminalParts<End>;
  #endIsOpen = true;

  constructor(parts: PseudoTerminalParts<End>) {
    this.#parts = parts;
    this.output = new ReadStream(parts.master);
    // The terminal's other end is closed everywhere (EIO); "close" follows.
    this.output.on("error", () => {});
  }

  get end(): End {
    return this.#parts.end;
  }

  /** Bypasses the stream: libuv would block the whole keeper on a program that does not read its terminal. */
  write(bytes: Uint8Array): number {
    if (this.output.destroyed) return bytes.length; // the number may belong to another file now
    try {
      return writeSync(this.#parts.master, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      return bytes.length; // hung up: "close" reports that, and the rest has no reader
    }
  }

  resize({ columns, rows }: TerminalSize): void {
    const { resize, master } = this.#parts;
    resize(master, columns, rows);
  }

  release(): void {
    if (!this.#endIsOpen) return;
    this.#endIsOpen = false;
    closeSync(this.end.descriptor);
  }

  close(): void {
    this.release();
    this.output.destroy();
  }
}
