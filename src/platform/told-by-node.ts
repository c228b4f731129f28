/** What Node.js itself tells a process about itself, on systems where that is all there is. */
import type { OwnTerminal } from "./types.ts";

/** Whole entries, as text that Node has read. */
export function ownEnvironment(): Buffer[] {
  return Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [Buffer.from(`${name}=${value}`)],
  );
}

/** Whether it is in the background cannot be told without an addon; on Windows nothing is. */
export function ownTerminal(): OwnTerminal {
  return process.stdin.isTTY || process.stderr.isTTY ? "foreground" : "none";
}
