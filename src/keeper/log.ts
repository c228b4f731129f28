/** The keeper's log: one JSON line per event in <state>/log/keeper.log, and short lines for the person at the terminal. */
import { join } from "node:path";
import pino from "pino";
import type { Clock } from "../clock.ts";
import { isLifecycleName, type EventName, type LifecycleEvent, type LogEntry } from "../events.ts";
import { plainText } from "../plain-text.ts";
import { RotatingFile } from "./rotating-file.ts";

/** 8 MiB a file and four older ones: 40 MiB in all, about 200,000 events. */
const rotation = { fileBytesMax: 8 * 1024 * 1024, olderMax: 4 };

type Level = "debug" | "info" | "warn" | "error" | "fatal";

/** Accepts only events of the table in events.ts. */
export type Log = { [L in Level]: (entry: LogEntry) => void };

export interface OpenLog {
  readonly log: Log;
  /** Called for each lifecycle event after it was written. */
  onLifecycle: (event: LifecycleEvent) => void;
  /** A line from the front's own log, kept under its event name with the front's pid. */
  relay(event: EventName, fields: object, front: number): void;
  close(): void;
}

/** Writes synchronously in this process, without a worker. */
export function openLog(directory: string, clock: Clock, limits = rotation, pid = process.pid): OpenLog {
  const file = new RotatingFile(join(directory, "keeper.log"), limits);
  const logger = pino({ base: { pid } }, file);
  const write = (level: Level) => (entry: LogEntry) => {
    logger[level](entry);
    const { event: name, ...data } = entry;
    if (isLifecycleName(name)) opened.onLifecycle({ name, at: clock.now(), data } as LifecycleEvent);
  };
  const opened: OpenLog = {
    log: {
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      fatal: write("fatal"),
    },
    onLifecycle: () => {},
    relay: (event, fields, front) => logger.info({ ...fields, event, front }),
    close: () => file.close(),
  };
  return opened;
}

/** Prints one line for the person who started the gateway. */
export function say(line: string): void {
  process.stderr.write(`${plainText(line)}\n`);
}
