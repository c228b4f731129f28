/**
 * One request of a client that waits for its answer, and what carries that: an HTTP response, a line, a part of a batch, or
 * nothing. The call is open until it is answered, refused, dismissed or left; its owner hears of that once, and what comes
 * later is dropped.
 */
import type { Timer } from "../../clock.ts";
import type { TokenScope } from "../../protocol/keeper/messages.ts";
import { readEnvelope, type Envelope } from "./envelope.ts";
import { errorBody, type RpcFault } from "./json-rpc.ts";
import type { Edit } from "./splice.ts";

export interface CallParams {
  /** The id that the server sees. */
  number: number;
  /** The id and the progress token as the client wrote them. */
  clientId: string;
  clientToken: string | undefined;
  /** The progress token stays good after the answer: the request started a task. */
  startsTask: boolean;
  /** On the monotonic clock. */
  startedAt: number;
  /** What a server of a session-based revision gets in place of a stateless client's `_meta`; one byte per character. */
  sessionMeta?: string;
  /** What its client's token allows; decides which of Holdfast's own tools there are for it. */
  scopes?: ReadonlySet<TokenScope>;
  /** Hears the server's answer before it is sent on; true: it is dealt with, and not to be sent. */
  onAnswer?: (line: Buffer, isError: boolean) => boolean | void;
}

/** What a request says that its call must know. */
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

/** A call as its server knows it. */
export interface PendingCall {
  readonly params: CallParams;
  /** Armed by whoever waits; cleared when the call is over. */
  deadline: Timer | undefined;
  readonly done: boolean;
  /** False: its client takes nothing but the answer, so what would ride on it goes to the session. */
  readonly takesMessages?: boolean;
  /** A message that rides on this call: progress, a log line, a question of the server. */
  tell(line: Buffer, edits: Edit[], release: () => void): void;
  /** `result`: where the result's object begins; 0: there is an error in place of it; undefined: it needs no change. */
  answer(line: Buffer, edits: Edit[], release: () => void, result?: number): void;
  /** Our own answer, because there will be none from the server. */
  fail(fault: RpcFault, status?: number): void;
  /** The client cancelled the call: by the protocol it gets no answer. */
  dismiss(): void;
}

/** Carries the answer of one call. `release` runs once the bytes were accepted, or if nobody will ever read them. */
export interface Reply {
  readonly takesMessages: boolean;
  /** Set by the call: the client went away before it had its answer. */
  onGone: () => void;
  tell(line: Buffer, edits: Edit[], release: () => void): void;
  /** `status`: of HTTP. */
  answer(line: Buffer, edits: Edit[], release: () => void, status?: number): void;
  /** An error of our own. */
  refuse(body: Buffer, status?: number): void;
  /** There is no answer. */
  dismiss(): void;
  /** `isLate`: the call takes so long that its client could take the silence for the end. */
  heartbeat(now: number, isLate: boolean): void;
}

/** A reply that may turn into a stream of changes, which is the caller's to fill. */
export interface StreamableReply extends Reply {
  /** `onGone` runs when nobody listens any more. */
  takeStream(onGone: () => void): Changes;
}

/** What carries the changes that a client listens for. */
export interface Changes {
  /** A whole message. */
  send(message: Buffer): void;
  heartbeat(now: number): void;
  /** Nothing more comes. */
  end(): void;
}

/** Whoever keeps the calls of one client. */
export interface CallOwner {
  /** It is over, however. */
  done(call: Call): void;
  /** Its client went away without an answer: the server may stop. `done` follows. */
  abandon(call: Call): void;
}

/** For a call that belongs to no session. */
export const noOwner: CallOwner = { done() {}, abandon() {} };

export class Call implements PendingCall {
  readonly params: CallParams;
  deadline: Timer | undefined;
  readonly #reply: Reply;
  readonly #owner: CallOwner;
  #isDone = false;

  constructor(params: CallParams, reply: Reply, owner: CallOwner) {
    this.params = params;
    this.#reply = reply;
    this.#owner = owner;
    reply.onGone = () => this.#gone();
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

  /** Another call answers on the same reply. */
  letGo(): void {
    if (this.#end()) this.#owner.done(this);
  }

  heartbeat(now: number, waitMsMax: number): void {
    if (!this.#isDone) this.#reply.heartbeat(now, now - this.params.startedAt >= waitMsMax);
  }

  #gone(): void {
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

/** For a call of our own on a client's behalf, of which only this matters: whether its server took it. */
export class SilentReply implements Reply {
  readonly takesMessages = true;
  onGone: () => void = () => {};
  readonly #taken = Promise.withResolvers<boolean>();

  /** Resolves with false when the call was refused or given up. */
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

  heartbeat(): void {} // nobody waits at a socket for it
}
