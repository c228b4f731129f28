/** Says which connections ended and why: those that somebody may look for. All are counted; a line for each would bury the rest. */
import type { Log } from "../../log.ts";
import type { CloseReason } from "./connection.ts";
import type { Connections } from "./connections.ts";

/** Ends of a plain HTTP connection that its client did not bring about. */
const toldOfHttp = new Set<CloseReason>(["revoked", "slow-consumer"]);
/** Ends of WebSockets that never proved themselves: whoever likes can make as many as he likes. */
const untoldOfWebSockets = new Set<CloseReason>([
  "unauthorized",
  "auth-timeout",
  "head-timeout",
  "bad-request",
  "crowded",
]);

export function tellClosed(connections: Connections, log: Log): void {
  connections.onClosed(({ kind, address, reason = "client-left" }) => {
    const isTold = kind === "http" ? toldOfHttp.has(reason) : !untoldOfWebSockets.has(reason);
    if (isTold) log("connection.closed", { protocol: kind, address, reason });
  });
}
