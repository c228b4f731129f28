/**
 * One open request of a client, and its reply: an HTTP response, a line, a part of a batch, or nothing. A call is open
 * until it is answered, refused, dismissed or left; its owner is told once, and later events are ignored.
 */
import type { TokenScope } from "../../protocol/keeper/front-config.ts";
import type { Timer } from "../../clock.ts";
import { readEnvelope, type Envelope } from "./envelope.ts";
import { errorBody, type RpcFault } from "./json-rpc.ts";
import type { Edit } from "./splice.ts";

export interface CallParams {
  /** The id that the server sees. */
  number: number;
  /** The id and the progress token as the client wrote them. */
  clientId: string;
  clientToken: string | undefined;
  /** The progress token stays valid after the answer: the request started a task. */
  startsTask: boolean;
  /** On the monotonic clock. */
  startedAt: number;
  /** The `_meta` of a stateless client for a session-based server; one byte per character. */
  sessionMeta?: string;
  /** Scopes of its client's token; they select Holdfast's own tools. */
  scopes?: ReadonlySet<TokenScope>;
  /** Sees the server's answer before the client; true: it is handled and not sent. */
  onAnswer?: (line: Buffer, isError: boolean) => boolean | void;
}

/** The call's parameters in a request. */
export function callParams(
  { idStart, idEnd, tokenStart, tokenEnd, hasTask }: Envelope,
  body: Buffer,
  given: Pick<CallParams, "number" | "startedAt" | "scopes">,
): CallParams {
  return {
    ...given,
    clientId: body.toString("latin1", idStart, idEnd),
    clientToken: tokenStart > 0 ? body.toString("latin1", tokenStart, tokenEnd) : undefined,
    startsTask: hasTask,
  };
}

/** A call as its server sees it. */
export interface PendingCall {
  readonly params: CallParams;
  /** Armed by the upstream or the opening; cleared when the call is over. */
  deadline: Timer | undefined;
  readonly done: boolean;
  /** False: the client accepts only the answer, so other messages go to the session. */
  readonly takesMessages?: boolean;
  /** A message of this call: progress, a log line, a question of the server. */
  tell(line: Buffer, edits: Edit[], release: () => void): void;
  /** `result`: offset of the result's object; 0: an error instead; undefined: no change needed. */
  answer(line: Buffer, edits: Edit[], release: () => void, result?: number): void;
  /** Our own answer in place of the server's. */
  fail(fault: RpcFault, status?: number): void;
  /** The client cancelled the call, so by the protocol it gets no answer. */
  dismiss(): void;
}

/** Whoever waits for an answer and can be told that its client left. */
export interface Leavable {
  gone(): void;
}

/** Carries the answer of one call. `release` runs once the bytes are accepted or dropped. */
export interface Reply {
  readonly takesMessages: boolean;
  /**
   * Set by the call, to hear that the client left before its answer. An object, not a function: a new closure in the same
   * field for each call would keep every call alive until V8 collects its old generation.
   */
  call: Leavable | undefined;
  tell(line: Buffer, edits: Edit[], release: () => void): void;
  /** `status`: of HTTP. */
  answer(line: Buffer, edits: Edit[], release: () => void, status?: number): void;
  /** An error of our own. */
  refuse(body: Buffer, status?: number): void;
  /** Ends without an answer. */
  dismiss(): void;
  /** `isLate`: the call has been silent long enough for its client to give up. */
  heartbeat(now: number, isLate: boolean): void;
}

/** A reply that can become a stream of changes, filled by the caller. */
export interface StreamableReply extends Reply {
  /** `onGone` runs when the client leaves. */
  takeStream(onGone: () => void): Changes;
}

/** The stream of changes to a listening client. */
export interface Changes {
  /** A whole message. */
  send(message: Buffer): void;
  heartbeat(now: number): void;
  end(): void;
}

/** Keeps the calls of one client. */
export interface CallOwner {
  /** The call is over, for any reason. */
  done(call: Call): void;
  /** The client left before its answer: the server may stop. `done` follows. */
  abandon(call: Call): void;
}

/** For a call without a session. */
export const noOwner: CallOwner = { done() {}, abandon() {} };

export class Call implements PendingCall, Leavable {
  readonly params: CallParams;
  deadline: Timer | undefined;
  readonly #reply: Reply;
  readonly #owner: CallOwner;
  #isDone = false;

  constructor(params: CallParams, reply: Reply, owner: CallOwner) {
    this.params = params;
    this.#reply = reply;
    this.#owner = owner;
    reply.call = this;
  }

  get done(): boolean {
    return this.#isDone;
  }

  get takesMessages(): boolean {
    return this.#reply.takesMessages;
  }

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    if (this.#isDone) release();
    else this.#reply.tell(line, edits, release);
  }

  answer(line: Buffer, edits: Edit[], release: () => void): void {
    if (!this.#end()) return release();
    this.#reply.answer(line, edits, release);
    this.#owner.done(this);
  }

  fail(fault: RpcFault, status?: number): void {
    if (!this.#end()) return;
    this.#reply.refuse(errorBody(this.params.clientId, fault), status);
    this.#owner.done(this);
  }

  dismiss(): void {
    if (!this.#end()) return;
    this.#reply.dismiss();
    this.#owner.done(this);
  }

  /** Detaches the call: another one answers on the same reply. */
  letGo(): void {
    if (this.#end()) this.#owner.done(this);
  }

  heartbeat(now: number, waitMsMax: number): void {
    if (!this.#isDone) this.#reply.heartbeat(now, now - this.params.startedAt >= waitMsMax);
  }

  /** The client left. */
  gone(): void {
    if (!this.#end()) return;
    this.#owner.abandon(this);
    this.#owner.done(this);
  }

  /** False: it is over already. */
  #end(): boolean {
    if (this.#isDone) return false;
    this.#isDone = true;
    this.deadline?.clear();
    this.deadline = undefined;
    return true;
  }
}

/** For our own call on a client's behalf: reports only whether the server accepted it. */
export class SilentReply implements Reply {
  readonly takesMessages = true;
  call: Leavable | undefined;
  readonly #taken = Promise.withResolvers<boolean>();

  /** Resolves with false when the call failed or was cancelled. */
  get isTaken(): Promise<boolean> {
    return this.#taken.promise;
  }

  tell(_line: Buffer, _edits: Edit[], release: () => void): void {
    release();
  }

  answer(line: Buffer, _edits: Edit[], release: () => void): void {
    this.#taken.resolve(!readEnvelope(line).hasError);
    release();
  }

  refuse(): void {
    this.#taken.resolve(false);
  }

  dismiss(): void {
    this.#taken.resolve(false);
  }

  heartbeat(): void {} // there is no socket to keep alive
}
