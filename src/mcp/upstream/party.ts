/** One session as a server's upstream sees it: who asked, and who may be told and asked. */
import type { Timer } from "../../clock.ts";
import type { CallParams } from "../call.ts";
import type { RpcFault } from "../json-rpc.ts";
import type { Question } from "../questions.ts";
import type { Edit } from "../splice.ts";
import type { Upstream } from "./upstream.ts";

/** A client's request that waits for its answer, whatever carries it to the client. */
export interface PendingCall {
  readonly params: CallParams;
  deadline: Timer | undefined;
  readonly done: boolean;
  /** False: its client takes nothing but the answer, so what would ride on it goes to the session. */
  readonly takesMessages?: boolean;
  /** A message that belongs to this call: progress, a log line, a question. */
  tell(line: Buffer, edits: Edit[], release: () => void): void;
  /** `result`: where the result's object begins; 0: there is an error in place of it; undefined: it needs no change. */
  answer(line: Buffer, edits: Edit[], release: () => void, result?: number): void;
  fail(fault: RpcFault, status?: number): void;
  dismiss(): void;
}

/** A request that a server asked its client; `number` is the id that the client sees. */
export interface UpstreamQuestion extends Question {
  upstream: Upstream;
}

/** A call that is with a server, and whose it is. */
export interface Waiting {
  call: PendingCall;
  party: Party;
}

/** Stands for a session of the front before this one whose call is over, and which hears nothing any more. */
export const nobody: Party = {
  hear: (_line, _edits, release) => release(),
  ask: () => false,
  withdraw: () => true,
  isSubscribed: () => false,
  roots: () => [],
};

export interface Party {
  /** Takes a message of the server that belongs to no single call; `question` when it waits for an answer. */
  hear(line: Buffer, edits: Edit[], release: () => void, question: UpstreamQuestion | undefined): void;
  /** A question that `number` stands for from now on; false: too many are open. */
  ask(question: UpstreamQuestion): boolean;
  /** The server does not want the answer any more. True: the client never heard the question, so it need not hear this. */
  withdraw(question: UpstreamQuestion): boolean;
  /** `notifications/resources/updated` of a pooled server: only who subscribed may hear. */
  isSubscribed(uri: string): boolean;
  /** The client's roots as far as they are known, for a pooled server's `roots/list`. */
  roots(): unknown;
}
