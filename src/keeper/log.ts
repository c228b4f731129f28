/** The keeper's log: one JSON line an event in <state>/log/keeper.log, and short lines for the person at the terminal. */
import { join } from "node:path";
import pino from "pino";
import type { Clock } from "../clock.ts";
import { isLifecycleName, type EventName, type LifecycleEvent, type LogEntry } from "../events.ts";
import { plainText } from "../plain-text.ts";
import { RotatingFile } from "./rotating-file.ts";

/** 8 MiB a file and four older ones: 40 MiB in all, about 200,000 events. */
const rotation = { fileBytesMax: 8 * 1024 * 1024, olderMax: 4 };

type Level = "debug" | "info" | "warn" | "error" | "fatal";

/** Takes events of the table in events.ts, and no other. */
export type Log = { [L in Level]: (entry: LogEntry) => void };

export interface OpenLog {
  readonly log: Log;
  /** Hears each lifecycle event of the keeper after it was written. */
  onLifecycle: (event: LifecycleEvent) => void;
  /** A line that the front wrote about itself: kept under its own name, beside the pid of that front. */
  relay(event: EventName, fields: object, front: number): void;
  close(): void;
}

/** No worker: lines are written at once, by this process. */
export function openLog(directory: string, clock: Clock, limits = rotation): OpenLog {
  const file = new RotatingFile(join(directory, "keeper.log"), limits);
  const logger = pino({ base: { pid: process.pid } }, file);
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

/** One line for the person who started the gateway. */
export function say(line: string): void {
  process.stderr.write(`${plainText(line)}\n`);
}
