/** Between a server's words and everybody else's sessions: what throws on a line of one server is a defect, and costs that server alone. */
import { logDefect, type Log } from "../../log.ts";

type Hear = (line: Buffer, release: () => void, again?: boolean, about?: number) => void;

/**
 * Hears lines as `hear` does until it throws once. Then nothing more of this server is heard, the stack is in the log, and
 * `onDefect` is told in words for whoever waited for an answer; it ends the server.
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
