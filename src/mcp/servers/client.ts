/** One session as a server's upstream sees it: the origin of calls, and the recipient of messages and questions. */
import type { PendingCall } from "../wire/call.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Edit } from "../wire/splice.ts";

/** A server's request, with the server's own id and progress token; `number` is the id that the client sees. */
export interface Question {
  number: number;
  serverId: string;
  serverToken: string | undefined;
}

/** The server that asked. */
export interface QuestionOrigin {
  /** The client answered. False: the server does not keep up. */
  respond(question: UpstreamQuestion, envelope: Envelope, body: Buffer): boolean;
  /** The client will not answer. */
  refuse(question: UpstreamQuestion): void;
  /** Sends any other message of a client. False: the server does not keep up. */
  send(envelope: Envelope, body: Buffer, edits: Edit[]): boolean;
}

/** A question from a server to its client. */
export interface UpstreamQuestion extends Question {
  upstream: QuestionOrigin;
}

/** A call with its own heartbeat. */
export interface ClientCall extends PendingCall {
  /** Set where the session's calls belong to several clients. */
  readonly client?: Client | undefined;
  /** Its client can receive a question in place of an answer. */
  readonly takesQuestions?: boolean;
  heartbeat(now: number, waitMsMax: number): void;
}

/** A call at a server, with its client. */
export interface Waiting {
  call: PendingCall;
  client: Client;
}

/** Stands for a finished session, such as one of the previous front; drops all messages. */
export const noClient: Client = {
  hear: (_line, _edits, release) => release(),
  ask: () => false,
  withdraw: () => true,
  isSubscribed: () => false,
  roots: () => [],
};

export interface Client {
  /** Takes a message outside any single call; `question` when it expects an answer. */
  hear(line: Buffer, edits: Edit[], release: () => void, question: UpstreamQuestion | undefined): void;
  /** A question that the client answers by `number`; false: too many are open. */
  ask(question: UpstreamQuestion): boolean;
  /** The server withdrew the question. True: it never reached the client, which needs no notice. */
  withdraw(question: UpstreamQuestion): boolean;
  /** `notifications/resources/updated` of a pooled server goes only to subscribers. */
  isSubscribed(uri: string): boolean;
  /** The client's roots as far as known, for a pooled server's `roots/list`. */
  roots(): unknown;
}
