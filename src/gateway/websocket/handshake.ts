/** The upgrade from HTTP to WebSocket: all conditions of RFC 6455 and ours, checked before a frame is read. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { errorBody, rpcCode } from "../../mcp/wire/json-rpc.ts";
import type { Denial } from "../access.ts";

/** Not imported: see server.ts. */
const { STATUS_CODES } = process.getBuiltinModule("node:http");

export const subprotocol = "holdfast.v1";
export const websocketPath = "/ws";

export interface UpgradeRefusal {
  status: 400 | 401 | 403 | 404 | 405 | 426 | 429 | 503;
  message: string;
  headers?: Record<string, string>;
}

/** Why this request cannot become a WebSocket; undefined = it can. Access is checked elsewhere. */
export function handshakeProblem(request: IncomingMessage, spoken = subprotocol): UpgradeRefusal | undefined {
  const { headers, method } = request;
  if (method !== "GET") return { status: 405, message: "a WebSocket begins with GET", headers: { allow: "GET" } };
  if (headers.upgrade?.toLowerCase() !== "websocket") return { status: 400, message: "Upgrade must be websocket" };
  if (headers["sec-websocket-version"] !== "13") {
    const message = "Sec-WebSocket-Version must be 13";
    return { status: 426, message, headers: { "sec-websocket-version": "13" } };
  }
  // 16 bytes in base64.
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? ""))
    return { status: 400, message: "Sec-WebSocket-Key must be 16 bytes in base64" };
  if (!protocolsOf(request).includes(spoken))
    return { status: 400, message: `Sec-WebSocket-Protocol must offer ${spoken}` };
  return undefined;
}

function protocolsOf(request: IncomingMessage): string[] {
  return (request.headers["sec-websocket-protocol"] ?? "").split(",").map((word) => word.trim());
}

export function deniedUpgrade({ status, message, retryAfterS }: Denial): UpgradeRefusal {
  if (retryAfterS !== undefined) return { status, message, headers: { "retry-after": String(retryAfterS) } };
  return status === 401
    ? { status, message, headers: { "www-authenticate": 'Bearer realm="holdfast"' } }
    : { status, message };
}

/** Refuses over HTTP and ends our side; further input is dropped. */
export function refuseUpgrade(stream: Duplex, { status, message, headers = {} }: UpgradeRefusal): void {
  const reason = status === 401 || status === 429 ? "unauthorized" : status === 403 ? "forbidden" : "invalid_params";
  const body = errorBody(undefined, { code: rpcCode.invalidRequest, message, reason });
  const lines = Object.entries({
    ...headers,
    connection: "close",
    "content-type": "application/json",
    "content-length": String(body.length),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  stream.resume();
  stream.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`);
  stream.end(body);
}
