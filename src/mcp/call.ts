/**
 * One request of a client that waits for its answer, and the HTTP response that will carry it.
 *
 *   waiting ──answer──▶ done (application/json, or text/event-stream for a client that takes nothing else)
 *      │
 *      └──tell or a long wait──▶ streaming (text/event-stream) ──answer──▶ done
 *
 * A client that takes JSON alone never gets a stream: what would ride on its call goes to its session, or nowhere.
 * From any state the client may go away: `onGone` runs once, and what comes later is dropped.
 */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Timer } from "../clock.ts";
import type { TokenScope } from "../protocol/keeper/messages.ts";
import { EventStream } from "./event-stream.ts";
import { replyForm, type ReplyForm } from "./headers.ts";
import { errorBody, type RpcFault } from "./json-rpc.ts";
import { eventHead, eventTail, splice, spliceText, type Edit } from "./splice.ts";
import type { Changes, Round } from "./stateless/round.ts";

/** Bytes that may wait in the socket before a line counts as not yet passed on. */
const socketBytesMax = 64 * 1024;
/** Answers up to this size go out as text: node:http then writes head and body in one piece. */
const textBytesMax = 16 * 1024;

export interface CallParams {
  /** The id that the server sees. */
  number: number;
  /** The id and the progress token as the client wrote them. */
  clientId: string;
  clientToken: string | undefined;
  /** The progress token stays good after the answer: the request started a task. */
  startsTask: boolean;
  headers: OutgoingHttpHeaders;
  /** HTTP status of an answer of our own; once a session stands, a failed call is an answer like any other: 200. */
  failStatus: number;
  /** On the monotonic clock. */
  startedAt: number;
  /** What a server of the session era gets in place of a stateless client's `_meta`; one byte per character. */
  sessionMeta?: string;
  /** What its client's token allows; decides which of Holdfast's own tools there are for it. */
  scopes?: ReadonlySet<TokenScope>;
  /** Hears the server's answer before it is sent on; true: it is dealt with, and not to be sent. */
  onAnswer?: (line: Buffer, isError: boolean) => boolean | void;
}

export class Call implements Round {
  readonly params: CallParams;
  /** Armed by the owner; cleared when the call is done. */
  deadline: Timer | undefined;
  readonly #response: ServerResponse;
  readonly #form: ReplyForm;
  #stream: EventStream | undefined;
  #done = false;
  #release: (() => void) | undefined;

  /** `onGone` runs if the client goes away before it has its answer. */
  constructor(params: CallParams, response: ServerResponse, onGone: (call: Call) => void) {
    this.params = params;
    this.#response = response;
    this.#form = replyForm(response.req.headers.accept) ?? "either";
    response.once("close", () => {
      this.#release?.();
      const wasDone = this.#done;
      this.#finish();
      if (!wasDone) onGone(this);
    });
  }

  get done(): boolean {
    return this.#done;
  }

  get takesMessages(): boolean {
    return this.#form !== "json";
  }

  /** A message that rides on this call's answer: progress, a log line, a question of the server. */
  tell(line: Buffer, edits: Edit[], release: () => void): void {
    if (!this.takesMessages) return release();
    this.#streaming().send(splice(line, edits, eventHead, eventTail), release);
  }

  /** Opens the stream if a call takes long, so that neither the client nor anything between gives up on a silent socket. */
  beat(now: number, waitMsMax: number): void {
    if (this.#done) return;
    if (this.#stream !== undefined) this.#stream.beat(now);
    else if (this.takesMessages && now - this.params.startedAt >= waitMsMax) this.#streaming().flush();
  }

  /** The server's answer, with its id replaced by the client's. `status` holds while no stream is open. */
  answer(line: Buffer, edits: Edit[], release: () => void, _result?: number, status = 200): void {
    if (this.#done) return release();
    if (this.#isPlain(status)) {
      this.#end(line.length <= textBytesMax ? spliceText(line, edits) : splice(line, edits), release, status);
    } else {
      const stream = this.#streaming();
      stream.send(splice(line, edits, eventHead, eventTail), release);
      this.#finish();
      stream.end();
    }
  }

  /** Our own answer, because there will be none from the server. */
  fail(fault: RpcFault, status = this.params.failStatus): void {
    if (this.#done) return;
    const body = errorBody(this.params.clientId, fault);
    // An initialize that failed leaves no session behind, and clients keep the id that they were given.
    delete this.params.headers["mcp-session-id"];
    if (this.#isPlain(status)) this.#end(body, () => {}, status);
    else this.answer(body, [], () => {});
  }

  /** Somebody else answers on this response. */
  letGo(): void {
    this.#finish();
  }

  /** The answer is a stream from now on, and the caller's to fill; `onGone` runs when the response is over. */
  takeStream(onGone: () => void): Changes {
    const stream = this.#streaming();
    this.#finish();
    this.#response.once("close", onGone);
    return {
      send: (message) => stream.send(splice(message, [], eventHead, eventTail), () => {}),
      beat: (now) => stream.beat(now),
      end: () => stream.end(),
    };
  }

  /** The client cancelled the call: by the protocol it gets no answer, only the end of the response. */
  dismiss(): void {
    if (this.#done) return;
    this.#finish();
    if (this.takesMessages) return this.#streaming().end();
    this.#response.writeHead(202, { "content-length": 0, ...this.params.headers });
    this.#response.end();
  }

  #end(body: Buffer | string, release: () => void, status = 200): void {
    this.#finish();
    const response = this.#response;
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": body.length,
      ...this.params.headers,
    });
    response.end(body, "latin1");
    if ((response.socket?.writableLength ?? 0) < socketBytesMax) release();
    else this.#release = release;
  }

  /** Whether the answer is a body of JSON. What is refused with a status always is. */
  #isPlain(status: number): boolean {
    return this.#stream === undefined && (this.#form !== "events" || status !== 200);
  }

  #streaming(): EventStream {
    this.#stream ??= new EventStream(this.#response, this.params.headers);
    return this.#stream;
  }

  #finish(): void {
    this.#done = true;
    this.deadline?.clear();
    this.deadline = undefined;
  }
}
