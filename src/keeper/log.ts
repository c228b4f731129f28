/** The keeper's log: one JSON line an event in <state>/log/keeper.log, and short lines for the person at the terminal. */
import { join } from "node:path";
import pino, { type Logger } from "pino";

export type Log = Logger;

export interface OpenLog {
  log: Log;
  close(): void;
}

/** Writes at once and by itself: the last line before a crash is the one that matters. */
export function openLog(directory: string): OpenLog {
  const destination = pino.destination({ dest: join(directory, "keeper.log"), sync: true, mode: 0o600 });
  return { log: pino({ base: { pid: process.pid } }, destination), close: () => destination.end() };
}

/** One line for the person who started the gateway. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
