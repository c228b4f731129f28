/**
 * Pseudoterminals, opened by ourselves: the command is then started like any other one, with a descriptor to spare for its
 * guard's life line, and the master is close-on-exec from its first moment, so that no other run can keep it open.
 */
import { closeSync, constants, openSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import { prepareTerminal, resizeTerminal, terminalNumber } from "./ffi.ts";

export interface TerminalSize {
  /** Characters in a line. */
  columns: number;
  /** Lines. */
  rows: number;
}

export interface Terminal {
  /** Ours: what is written here is typed, what is read here was printed. */
  master: number;
  /** The command's stdin, stdout and stderr. Closed here once the command has it. */
  slave: number;
}

/** Throws `spawn_failed` when the system has no terminal to give. Both descriptors are the caller's to close. */
export function openTerminal(size: TerminalSize): Terminal {
  let master = -1;
  try {
    // Node opens everything close-on-exec; not blocking, or a program that does not read could hold up the whole keeper.
    master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    prepareTerminal(master, size.columns, size.rows);
    const slave = openSync(`/dev/pts/${terminalNumber(master)}`, constants.O_RDWR | constants.O_NOCTTY);
    return { master, slave };
  } catch (cause) {
    if (master !== -1) closeSync(master);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError("spawn_failed", `cannot open a terminal: ${reason}`, { cause });
  }
}

/** Tells the kernel the new size; it sends SIGWINCH to whoever is in the foreground. */
export function resize(master: number, size: TerminalSize): void {
  resizeTerminal(master, size.columns, size.rows);
}

/**
 * Put before a command line whose stdin is a terminal: a session's leader that opens a terminal gets it as the controlling
 * one, with its own group in the foreground. Then the shell becomes the command.
 */
export const takeTerminalScript = ': <>/proc/self/fd/0 && exec "$@"';
