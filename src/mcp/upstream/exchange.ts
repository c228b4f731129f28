/** One HTTP request of ours to a remote server, and its answer as messages. */
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { EventParser, type ServerEvent } from "./event-parser.ts";

/** An ordinary import reads every export of node:http, also the lazy ones that load undici. */
const http = process.getBuiltinModule("node:http");
const https = process.getBuiltinModule("node:https");

/** Messages of one answer that may wait to be passed on; then its socket is read no further. */
const waitingMax = 16;
/** Of a refusal, what is read for the sake of its words. */
const refusalBytesMax = 4096;

export interface ExchangeEvents {
  onHead?: (response: IncomingMessage) => void;
  onEvent: (event: ServerEvent, release: () => void) => void;
  /** What the other side said with a status of 300 or more, as far as it is kept. */
  onRefusal?: (words: string) => void;
  /** Once: the answer is over. `problem` says why it is not what it should be. */
  onEnd: (problem: string | undefined, status: number | undefined) => void;
}

export interface Outgoing {
  method: "POST" | "GET" | "DELETE";
  url: URL;
  headers: OutgoingHttpHeaders;
  body?: Buffer;
  messageBytesMax: number;
}

/** Starts it; `onEnd` comes in every case. Destroy the request to give it up. */
export function exchange(
  { method, url, headers, body, messageBytesMax }: Outgoing,
  events: ExchangeEvents,
): ClientRequest {
  let status: number | undefined;
  let isOver = false;
  const end = (problem?: string) => {
    if (isOver) return;
    isOver = true;
    events.onEnd(problem, status);
  };
  const length = body === undefined ? {} : { "content-length": body.length };
  const request = (url.protocol === "https:" ? https : http).request(url, {
    method,
    headers: { ...headers, ...length },
  });
  request.once("response", (response) => {
    status = response.statusCode ?? 0;
    events.onHead?.(response);
    response.on("error", (error) => end(`its connection broke: ${error.message}`));
    response.once("close", () => end(response.complete ? undefined : "its connection broke"));
    if (status >= 300) return readRefusal(response, events, end);
    const type = response.headers["content-type"] ?? "";
    if (type.startsWith("text/event-stream")) readEvents(response, messageBytesMax, events, end);
    else readBody(response, messageBytesMax, events, end);
  });
  request.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  request.once("close", () => end("its connection broke"));
  request.end(body);
  return request;
}

function readEvents(
  response: IncomingMessage,
  bytesMax: number,
  { onEvent }: ExchangeEvents,
  end: (problem?: string) => void,
): void {
  let waiting = 0;
  const parser = new EventParser(bytesMax, (event) => {
    waiting++;
    onEvent(event, () => {
      if (waiting-- === waitingMax) response.resume();
    });
  });
  response.on("data", (chunk: Buffer) => {
    try {
      parser.push(chunk);
      if (waiting >= waitingMax) response.pause();
    } catch (error) {
      end(String(error));
      response.destroy();
    }
  });
}

function readBody(
  response: IncomingMessage,
  bytesMax: number,
  { onEvent }: ExchangeEvents,
  end: (problem?: string) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes <= bytesMax) return;
    end(`it answered more than ${bytesMax} bytes`);
    response.destroy();
  });
  response.once("end", () => {
    if (bytes > 0) onEvent({ name: "message", data: Buffer.concat(chunks) }, () => {});
    end();
  });
}

/** Says what the other side said, in short. */
function readRefusal(response: IncomingMessage, { onRefusal }: ExchangeEvents, end: (problem?: string) => void): void {
  let words = "";
  response.on("data", (chunk: Buffer) => {
    if (words.length < refusalBytesMax) words += chunk.toString();
  });
  response.once("end", () => {
    onRefusal?.(words);
    const message = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(words)?.[1] ?? words.slice(0, 200);
    end(`HTTP ${response.statusCode}${message === "" ? "" : `: ${message}`}`);
  });
}
