/**
 * The answer to one call over HTTP.
 *
 *   waiting ──answer──▶ over (application/json, or text/event-stream for a client that accepts only that)
 *      │
 *      └──tell or a long wait──▶ streaming (text/event-stream) ──answer──▶ over
 *
 * A client that accepts only JSON never gets a stream: messages of its call go to its session, or are dropped.
 */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Changes, Leavable, StreamableReply } from "../wire/call.ts";
import { EventStream } from "../wire/event-stream.ts";
import { replyForm, type ReplyForm } from "../wire/headers.ts";
import { eventHead, eventTail, splice, spliceText, type Edit } from "../wire/splice.ts";

/** Bytes that may wait in the socket before a line counts as pending. */
const socketBytesMax = 64 * 1024;
/** Answers up to this size go out as text: node:http then writes head and body in one piece. */
const textBytesMax = 16 * 1024;

export class HttpReply implements StreamableReply {
  call: Leavable | undefined;
  readonly headers: OutgoingHttpHeaders;
  readonly #response: ServerResponse;
  readonly #form: ReplyForm;
  readonly #failStatus: number;
  #stream: EventStream | undefined;
  #isOver = false;
  #release: (() => void) | undefined;

  /** `failStatus`: status of Holdfast's own errors; within a session a failed call is an ordinary answer. */
  constructor(response: ServerResponse, headers: OutgoingHttpHeaders, failStatus = 200) {
    this.headers = headers;
    this.#response = response;
    this.#failStatus = failStatus;
    this.#form = replyForm(response.req.headers.accept) ?? "either";
    response.once("close", () => {
      this.#release?.();
      if (this.#isOver) return;
      this.#isOver = true;
      this.call?.gone();
    });
  }

  get takesMessages(): boolean {
    return this.#form !== "json";
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    if (!this.takesMessages) return release();
    this.#streaming().send(splice(line, edits, eventHead, eventTail), release);
  }

  /** Opens the stream of a long call, so that clients and proxies do not give up on a silent socket. */
  heartbeat(now: number, isLate: boolean): void {
    if (this.#isOver) return;
    if (this.#stream !== undefined) this.#stream.heartbeat(now);
    else if (this.takesMessages && isLate) this.#streaming().flush();
  }

  answer(line: Buffer, edits: Edit[], release: () => void, status = 200): void {
    if (this.#isOver) return release();
    this.#isOver = true;
    if (this.#isPlain(status))
      return this.#end(line.length <= textBytesMax ? spliceText(line, edits) : splice(line, edits), release, status);
    const stream = this.#streaming();
    stream.send(splice(line, edits, eventHead, eventTail), release);
    stream.end();
  }

  refuse(body: Buffer, status = this.#failStatus): void {
    // A failed initialize leaves no session, and clients keep any id they receive.
    delete this.headers["mcp-session-id"];
    this.answer(body, [], () => {}, this.#isPlain(status) ? status : 200);
  }

  dismiss(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.takesMessages) return this.#streaming().end();
    this.#response.writeHead(202, { "content-length": 0, ...this.headers });
    this.#response.end();
  }

  takeStream(onGone: () => void): Changes {
    const stream = this.#streaming();
    this.#isOver = true;
    this.#response.once("close", onGone);
    return {
      send: (message) => stream.send(splice(message, [], eventHead, eventTail), () => {}),
      heartbeat: (now) => stream.heartbeat(now),
      end: () => stream.end(),
    };
  }

  #end(body: Buffer | string, release: () => void, status: number): void {
    const response = this.#response;
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": body.length,
      ...this.headers,
    });
    response.end(body, "latin1");
    if ((response.socket?.writableLength ?? 0) < socketBytesMax) release();
    else this.#release = release;
  }

  /** Whether the answer is a JSON body. Refusals with an HTTP status always are. */
  #isPlain(status: number): boolean {
    return this.#stream === undefined && (this.#form !== "events" || status !== 200);
  }

  #streaming(): EventStream {
    return (this.#stream ??= new EventStream(this.#response, this.headers));
  }
}
