/** Answers malformed and late requests once, then ends the connection. */
import type { Socket } from "node:net";
import type { CloseReason } from "./connections/connection.ts";
import type { Connections } from "./connections/connections.ts";

/** Not imported: see server.ts. */
const { STATUS_CODES } = process.getBuiltinModule("node:http");

const outcomes: Record<string, [status: number, reason: CloseReason]> = {
  HPE_HEADER_OVERFLOW: [431, "too-large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "too-large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "head-timeout"],
};
/** The client is gone. */
const goneCodes = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT"]);

export function refuseBadHead(error: Error & { code?: string }, socket: Socket, connections: Connections): void {
  const { code = "" } = error;
  if (goneCodes.has(code)) return void socket.destroy();
  const [status, reason] = outcomes[code] ?? [400, "bad-request"];
  connections.end(socket, reason, () => {
    socket.resume();
    // Never appends to an answer already under way.
    if (socket.bytesWritten > 0 && status !== 408) socket.end();
    else socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nConnection: close\r\n\r\n`);
  });
}
