/** One HTTP request to a remote server, and its answer as messages. Every part of the answer is bounded. */
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Clock } from "../../clock.ts";
import { GatheredBytes } from "../../gathered-bytes.ts";
import { withoutMark } from "../wire/salvage.ts";
import { EventParser, type ServerEvent } from "./event-parser.ts";

/** An ordinary import reads every export of node:http, including the lazy ones that load undici. */
const http = process.getBuiltinModule("node:http");
const https = process.getBuiltinModule("node:https");

/** Pending messages of one answer; beyond this its socket is paused. */
const waitingMax = 16;
/** Bytes read of a refusal's text, and the time for them. */
const refusalBytesMax = 4096;
const refusalMs = 5000;
/** Interim answers (`100 Continue`, `103 Early Hints`) before the answer itself. */
const interimMax = 32;

export interface ExchangeEvents {
  onHead?: (response: IncomingMessage) => void;
  onEvent: (event: ServerEvent, release: () => void) => void;
  /** The beginning of a body with a status of 300 or more. */
  onRefusal?: (words: string) => void;
  /** Once: the answer is over. `problem` describes an invalid answer. */
  onEnd: (problem: string | undefined, status: number | undefined) => void;
}

export interface Outgoing {
  method: "POST" | "GET" | "DELETE";
  url: URL;
  headers: OutgoingHttpHeaders;
  body?: Buffer;
  messageBytesMax: number;
  clock: Clock;
}

/** Starts it; `onEnd` always follows. Destroy the request to cancel it. */
export function exchange(outgoing: Outgoing, events: ExchangeEvents): ClientRequest {
  const { method, url, headers, body, messageBytesMax, clock } = outgoing;
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
  boundInterim(request, end);
  request.once("response", (response) => {
    status = response.statusCode ?? 0;
    events.onHead?.(response);
    response.on("error", (error) => end(`its connection broke: ${error.message}`));
    response.once("close", () => end(response.complete ? undefined : "its connection broke"));
    if (status >= 300) return readRefusal(response, clock, events, end);
    const type = response.headers["content-type"] ?? "";
    if (/^text\/event-stream\b/i.test(type)) readEvents(response, messageBytesMax, events, end);
    else readBody(response, messageBytesMax, events, end);
  });
  request.once("error", (error: NodeJS.ErrnoException) => end(describe(error)));
  request.once("close", () => end("its connection broke"));
  request.end(body);
  return request;
}

/** Node reads interim answers without a limit. */
function boundInterim(request: ClientRequest, end: (problem: string) => void): void {
  let interim = 0;
  request.on("information", () => {
    if (++interim <= interimMax) return;
    end(`it sent more than ${interimMax} interim answers (HTTP 1xx) before its answer`);
    request.destroy();
  });
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
      end(`it sent ${error instanceof Error ? error.message : String(error)}`);
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
  const body = new GatheredBytes();
  response.on("data", (chunk: Buffer) => {
    if (body.length + chunk.length <= bytesMax) return body.add(chunk);
    body.clear();
    end(`it answered more than ${bytesMax} bytes`);
    response.destroy();
  });
  response.once("end", () => {
    if (body.length > 0) onEvent({ name: "message", data: withoutMark(body.take()) }, () => {});
    end();
  });
}

/** Reads the beginning of a refusal and discards the rest. */
function readRefusal(
  response: IncomingMessage,
  clock: Clock,
  { onRefusal }: ExchangeEvents,
  end: (problem?: string) => void,
): void {
  const body = new GatheredBytes();
  let isTold = false;
  const tell = () => {
    if (isTold) return;
    isTold = true;
    late.clear();
    const words = body.take().toString("utf8");
    onRefusal?.(words);
    const message = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(words)?.[1] ?? words.slice(0, 200);
    end(`HTTP ${response.statusCode}${message === "" ? "" : `: ${message}`}`);
  };
  const cut = () => {
    tell();
    response.destroy();
  };
  const late = clock.after(refusalMs, cut);
  response.on("data", (chunk: Buffer) => {
    body.add(chunk.subarray(0, refusalBytesMax - body.length));
    if (body.length >= refusalBytesMax) cut();
  });
  response.once("end", tell).once("close", () => late.clear());
}

function describe({ code, message }: NodeJS.ErrnoException): string {
  return code?.startsWith("HPE_") === true ? `its answer is not HTTP (${code})` : (code ?? message);
}
