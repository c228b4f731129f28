/**
 * Pseudoterminals opened directly, so that the command starts like any other, with a spare descriptor for its guard's life
 * line, and the master is close-on-exec from the beginning, out of reach of other runs.
 */
import { closeSync, constants, openSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import type { Terminal, TerminalSize } from "../types.ts";
import { PseudoTerminal } from "../unix/terminal.ts";
import { prepareTerminal, resizeTerminal, terminalNumber } from "./ffi.ts";

/** Throws `spawn_failed` when the system has no terminal available. */
export function openTerminal(size: TerminalSize): Terminal {
  let master = -1;
  try {
    // Node opens everything close-on-exec; non-blocking, because a program that stops reading could block the whole keeper.
    master = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    prepareTerminal(master, size.columns, size.rows);
    const end = openSync(`/dev/pts/${terminalNumber(master)}`, constants.O_RDWR | constants.O_NOCTTY);
    return new PseudoTerminal({ master, end: { descriptor: end }, resize: resizeTerminal });
  } catch (cause) {
    if (master !== -1) closeSync(master);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError("spawn_failed", `cannot open a terminal: ${reason}`, { cause });
  }
}

/**
 * Prefix for a command line whose stdin is a terminal: a session leader that opens a terminal gets it as its controlling
 * terminal, with its own group in the foreground. Then the shell becomes the command.
 */
export const takeTerminalScript = ': <>/proc/self/fd/0 && exec "$@"';
