/** The front's log: one JSON object per line on stderr, kept by its keeper. No secrets, no message contents. */
import type { EventFields, EventName } from "./events.ts";

export type Log = <N extends EventName>(event: N, fields: EventFields[N]) => void;

/** Logs an unexpected error with its stack. */
export function logDefect(log: Log, thrown: unknown): void {
  log("gateway.defect", { error: thrown instanceof Error ? thrown.stack : String(thrown) });
}

export const stderrLog: Log = (event, fields) => {
  process.stderr.write(`${JSON.stringify({ event, ...fields })}\n`);
};
