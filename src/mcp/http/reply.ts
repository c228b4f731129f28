/** Answers over plain `node:http` that end cleanly even when the request's body is still unread. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { systemClock } from "../../clock.ts";
import type { ErrorCode } from "../../errors.ts";
import { errorBody, rpcCode, type RpcFault } from "../wire/json-rpc.ts";

/** How long, and how much, of an unwanted body is drained so that the client can read the answer. */
const lingerMs = 1000;
const lingerBytesMax = 1024 * 1024;

export interface Refusal {
  status: number;
  fault: RpcFault;
  headers?: OutgoingHttpHeaders;
  /** Id of the JSON-RPC request as written, where known. */
  id?: string;
}

export function sendBytes(
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length, ...headers });
  response.end(body);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  sendBytes(response, status, Buffer.from(JSON.stringify(value)), headers);
}

/**
 * Refuses a request with a JSON-RPC error. If its body is still arriving, the connection cannot be reused: the whole
 * answer goes out, the body is drained within a limit (closing at once would reset the connection and lose the answer),
 * and the connection is closed.
 */
export function refuse(request: IncomingMessage, response: ServerResponse, no: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  const body = errorBody(no.id, no.fault);
  if (request.complete || !hasBody(request)) return sendBytes(response, no.status, body, no.headers);
  response.writeHead(no.status, {
    "content-type": "application/json",
    "content-length": body.length,
    ...no.headers,
    connection: "close",
  });
  response.write(body);
  linger(request, response);
}

function hasBody(request: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && length !== "0");
}

function linger(request: IncomingMessage, response: ServerResponse): void {
  let dropped = 0;
  const finish = () => {
    timer.clear();
    request.off("data", drop).off("end", finish).off("close", finish);
    response.end();
  };
  const drop = (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > lingerBytesMax) finish();
  };
  const timer = systemClock.after(lingerMs, finish);
  request.on("data", drop).once("end", finish).once("close", finish);
  request.on("error", () => {}); // the client left: "close" follows
}

export function refusal(status: number, code: number, reason: ErrorCode, message: string): Refusal {
  return { status, fault: { code, message, reason } };
}

export function invalid(status: number, message: string): Refusal {
  return refusal(status, rpcCode.invalidRequest, "invalid_params", message);
}

export function unavailable(message: string, reason: ErrorCode): Refusal {
  return refusal(503, rpcCode.unavailable, reason, message);
}

export function unknownSession(): Refusal {
  const message = "no such session: it never was or has ended; begin a new one with initialize";
  return refusal(404, rpcCode.sessionUnknown, "session_unknown", message);
}
