/**
 * Pseudoterminals opened directly, so that the command starts like any other, with a spare descriptor for its guard's life
 * line, and the master is close-on-exec from the beginning, out of reach of other runs.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { HoldfastError } from "../../errors.ts";
import type { Terminal, TerminalSize } from "../types.ts";
import { prepareTerminal, resizeTerminal, terminalNumber } from "./ffi.ts";

/** Throws `spawn_failed` when the system has no terminal available. */
export function openTerminal(size: TerminalSize): Terminal {
  let master = -1;
  try {
    // Node opens everything close-on-exec; non-blocking, because a program that stops reading could block the whole keeper.
    master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    prepareTerminal(master, size.columns, size.rows);
    const end = openSync(`/dev/pts/${terminalNumber(master)}`, constants.O_RDWR | constants.O_NOCTTY);
    return new PseudoTerminal(master, end);
  } catch (cause) {
    if (master !== -1) closeSync(master);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError("spawn_failed", `cannot open a terminal: ${reason}`, { cause });
  }
}

class PseudoTerminal implements Terminal {
  readonly output: ReadStream;
  readonly end: { readonly descriptor: number };
  readonly #master: number;
  #endIsOpen = true;

  constructor(master: number, end: number) {
    this.#master = master;
    this.end = { descriptor: end };
    this.output = new ReadStream(master);
    // EIO means that the terminal's other end is closed everywhere; "close" follows.
    this.output.on("error", () => {});
  }

  /** Bypasses the stream: libuv would block the whole keeper on a program that does not read its terminal. */
  write(bytes: Uint8Array): number {
    if (this.output.destroyed) return bytes.length; // the number may belong to another file now
    try {
      return writeSync(this.#master, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      return bytes.length; // hung up: "close" reports that, and the rest has no reader
    }
  }

  /** The kernel sends SIGWINCH to the foreground group. */
  resize({ columns, rows }: TerminalSize): void {
    resizeTerminal(this.#master, columns, rows);
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

/**
 * Prefix for a command line whose stdin is a terminal: a session leader that opens a terminal gets it as its controlling
 * terminal, with its own group in the foreground. Then the shell becomes the command.
 */
export const takeTerminalScript = ': <>/proc/self/fd/0 && exec "$@"';
