/**
 * Pseudoterminals opened directly: the master is close-on-exec from the beginning, out of reach of other runs, and the other end
 * has a path by which a launchd job opens it.
 */
import { closeSync, constants, openSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import type { Terminal, TerminalSize } from "../types.ts";
import { PseudoTerminal } from "../unix/terminal.ts";
import { terminalCalls, type TerminalCalls } from "./terminal-calls.ts";

const { O_NOCTTY, O_NONBLOCK, O_RDWR } = constants;

/** The command's end, with its path, such as /dev/ttys003. */
export interface NamedEnd {
  readonly descriptor: number;
  readonly path: string;
}

/** Throws `spawn_failed` when the system has no terminal available. */
export function openTerminal(size: TerminalSize, calls: TerminalCalls = terminalCalls("darwin")): Terminal {
  const opened: number[] = [];
  try {
    // What posix_openpt does, but close-on-exec, as Node opens everything. Non-blocking, because a program that stops reading could
    // block the whole keeper.
    const master = openSync("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    opened.push(master);
    const path = calls.unlock(master);
    const end = openSync(path, O_RDWR | O_NOCTTY);
    opened.push(end);
    // Not earlier: the first open of this end sets the rules anew (ptsopen of tty_dev.c).
    calls.useUtf8(end);
    calls.resize(end, size.columns, size.rows);
    const resize = (of: number, columns: number, rows: number) => calls.resize(of, columns, rows);
    return new PseudoTerminal<NamedEnd>({ master, end: { descriptor: end, path }, resize });
  } catch (cause) {
    for (const descriptor of opened) closeSync(descriptor);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError("spawn_failed", `cannot open a terminal: ${reason}`, { cause });
  }
}

/**
 * `sh -c <this> <path of the end> <command line>`, in a session of its own: a session leader that opens a terminal gets it as its
 * controlling terminal (open1 of vfs_syscalls.c), and not by /dev/fd, which opens nothing anew. Then the shell becomes the command.
 */
export const takeTerminalScript = ': <>"$0" && exec "$@"';
