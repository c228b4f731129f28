/** Logs noteworthy closed connections; all are counted, but a line for each would bury the rest. */
import type { Log } from "../../log.ts";
import type { CloseReason } from "./connection.ts";
import type { Connections } from "./connections.ts";

/** HTTP connections not ended by their client. */
const toldOfHttp = new Set<CloseReason>(["revoked", "slow-consumer"]);
/** Unauthenticated WebSockets, of which anyone can make many. */
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
