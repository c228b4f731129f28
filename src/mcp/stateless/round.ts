/** One exchange of a stateless request with its client: a response over HTTP, lines under one id over stdio. */
import type { CallParams } from "../call.ts";
import type { RpcFault } from "../json-rpc.ts";
import type { Edit } from "../splice.ts";

/** What carries the changes that a client listens for. */
export interface Changes {
  /** A whole message. */
  send(message: Buffer): void;
  beat(now: number): void;
  /** Nothing more comes. */
  end(): void;
}

export interface Round {
  /** A message that rides on the request: progress, a log line. */
  tell(line: Buffer, edits: Edit[], release: () => void): void;
  answer(line: Buffer, edits: Edit[], release: () => void, result?: number, status?: number): void;
  fail(fault: RpcFault, status?: number): void;
  /** There is no answer. */
  dismiss(): void;
  beat(now: number, waitMsMax: number): void;
  /** The answer is a stream of changes from now on. `onGone` runs when nobody listens to it any more. */
  takeStream(onGone: () => void): Changes;
}

/** Begins a round for these params; `onGone` runs if the client goes away, or gives it up, before it has its answer. */
export type BeginRound = (params: CallParams, onGone: () => void) => Round;
