/** Answers over plain `node:http` that end well even when the request's body has not been read. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { systemClock } from "../clock.ts";
import { errorBody, type RpcFault } from "./json-rpc.ts";

/** How long, and how much, of an unwanted body is read and dropped so that the client can read our answer. */
const lingerMs = 1000;
const lingerBytesMax = 1024 * 1024;

export interface Refusal {
  status: number;
  fault: RpcFault;
  headers?: OutgoingHttpHeaders;
  /** Id of the JSON-RPC request, as it was written, where it is known. */
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
 * Refuses a request with a JSON-RPC error. If its body is still on the way the connection cannot be used again: the whole
 * answer goes out first, then the body is drained for a bounded while (closing at once would reset the connection and
 * throw away the answer), then the connection is closed.
 */
export function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  const body = errorBody(refusal.id, refusal.fault);
  if (request.complete || !hasBody(request)) return sendBytes(response, refusal.status, body, refusal.headers);
  response.writeHead(refusal.status, {
    "content-type": "application/json",
    "content-length": body.length,
    ...refusal.headers,
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
  request.on("error", () => {}); // the client went away: "close" follows
}
