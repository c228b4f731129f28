/** One session as a server's upstream sees it: who asked, and who may be told and asked. */
import type { PendingCall } from "../wire/call.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Edit } from "../wire/splice.ts";

/** A request of a server, with its id and progress token as the server wrote them; `number` is the id that the client sees. */
export interface Question {
  number: number;
  serverId: string;
  serverToken: string | undefined;
}

/** The server that asked. */
export interface QuestionOrigin {
  /** The client answered. False: the server does not keep up. */
  respond(question: UpstreamQuestion, envelope: Envelope, body: Buffer): boolean;
  /** Nobody will answer it. */
  refuse(question: UpstreamQuestion): void;
  /** Sends any other message of a client on. False: the server does not keep up. */
  send(envelope: Envelope, body: Buffer, edits: Edit[]): boolean;
}

/** A request that a server asked its client. */
export interface UpstreamQuestion extends Question {
  upstream: QuestionOrigin;
}

/** A call that looks after itself while it takes long. */
export interface ClientCall extends PendingCall {
  /** Whose call it is, where a session's calls are not all of one client. */
  readonly client?: Client | undefined;
  /** Its client can be asked something in place of its answer. */
  readonly takesQuestions?: boolean;
  heartbeat(now: number, waitMsMax: number): void;
}

/** A call that is with a server, and whose it is. */
export interface Waiting {
  call: PendingCall;
  client: Client;
}

/** Stands for a session of the front before this one whose call is over, and which hears nothing any more. */
export const nobody: Client = {
  hear: (_line, _edits, release) => release(),
  ask: () => false,
  withdraw: () => true,
  isSubscribed: () => false,
  roots: () => [],
};

export interface Client {
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
