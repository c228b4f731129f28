/** Isolates sessions from a server's messages: an exception on a line is a defect that ends only that server. */
import { logDefect, type Log } from "../../log.ts";

type Hear = (line: Buffer, release: () => void, again?: boolean, about?: number) => void;

/**
 * Handles lines with `hear` until it throws. Then the server's output is ignored, the stack is logged, and `onDefect`
 * gets the error text for waiting callers; it ends the server.
 */
export function behindBarrier(
  hear: Hear,
  { server, log }: { server: string; log: Log },
  onDefect: (outcome: string) => void,
): Hear {
  let isBroken = false;
  return (line, release, again, about) => {
    if (isBroken) return release();
    try {
      hear(line, release, again, about);
    } catch (thrown) {
      isBroken = true;
      release();
      logDefect(log, thrown);
      onDefect(
        `Holdfast failed on a message of MCP server ${JSON.stringify(server)} and ended it; this is a defect, please report it with the gateway's log`,
      );
    }
  };
}
