/**
 * One request of a stateless client, over as many rounds as its server has questions. Each round is one exchange:
 *
 *   in a round ──answer──▶ over
 *      │  ▲
 *      │  └──the client returns with its answers── suspended ──timeout──▶ over (cancelled at the server)
 *      └──the server asks: `input_required`────────────▲
 *
 * The server sees one call throughout, and lives as long as it does.
 */
import type { Clock, Timer } from "../../clock.ts";
import { answerText, errorBody, rpcCode, type RpcFault, numberAt } from "../wire/json-rpc.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import type { ClientCall, Client, UpstreamQuestion } from "../servers/client.ts";
import type { CallParams, Changes, Leavable, StreamableReply } from "../wire/call.ts";
import { readEnvelope, type Envelope } from "../wire/envelope.ts";
import { splice, type Edit } from "../wire/splice.ts";
import { passesLevel } from "./log-levels.ts";
import type { Metadata } from "./request-metadata.ts";
import { inputRequest, questionMethods, type InputRequest } from "./questions.ts";
import { errorAnswer, resultMembers, statusOf } from "./results.ts";
import { requestDigest, type Retained } from "./retained.ts";
import type { StatelessClient, Suspended } from "./stateless-client.ts";

export interface StatelessCallParts {
  open: AggregateSession;
  side: StatelessClient;
  retained: Retained<StatelessCall>;
  clock: Clock;
  /** How long a suspended call waits for its client. */
  questionMs: number;
  metadata: Metadata;
  method: string;
  body: Buffer;
}

export class StatelessCall implements ClientCall, Leavable, Suspended {
  readonly params: CallParams;
  /** Set for anonymous clients: messages then belong to this call alone. */
  readonly client: Client | undefined;
  deadline: Timer | undefined;
  readonly #parts: StatelessCallParts;
  readonly #leaveLease: () => void;
  #reply: StreamableReply | undefined;
  #isOver = false;
  /** Open questions, by our number. */
  readonly #questions = new Map<number, InputRequest>();
  /** The answer that came during the suspension. */
  #held: { line: Buffer; status: number } | RpcFault | undefined;
  #state: string | undefined;
  #patience: Timer | undefined;

  constructor(params: CallParams, parts: StatelessCallParts) {
    this.params = params;
    this.#parts = parts;
    this.client = parts.open.isAnonymous ? this.#asClient() : undefined;
    this.#leaveLease = parts.open.session.lease.hold();
  }

  /** Begins a round: the reply carries the answer or the next question. */
  attach(reply: StreamableReply): void {
    this.#reply = reply;
    reply.call = this;
  }

  get done(): boolean {
    return this.#isOver || this.#held !== undefined;
  }

  get takesQuestions(): boolean {
    return questionMethods.has(this.#parts.method);
  }

  /** Protects against the state of another request. */
  isSame(method: string, body: Buffer): boolean {
    return requestDigest(method, body) === requestDigest(this.#parts.method, this.#parts.body);
  }

  get open(): AggregateSession {
    return this.#parts.open;
  }

  heartbeat(now: number, waitMsMax: number): void {
    this.#reply?.heartbeat(now, now - this.params.startedAt >= waitMsMax);
  }

  // ── from the server ──

  tell(line: Buffer, edits: Edit[], release: () => void): void {
    const text = splice(line, edits);
    const envelope = readEnvelope(text);
    if (envelope.kind === "request") this.#asked(envelope, text);
    else if (envelope.method === "notifications/progress") return this.#pass(text, release);
    else if (envelope.method === "notifications/message") {
      if (passesLevel(text, this.#parts.metadata.logLevel)) return this.#pass(text, release);
    } else this.#parts.side.spread(text);
    release();
  }

  answer(line: Buffer, edits: Edit[], release: () => void, result?: number): void {
    if (this.done) return release();
    if (result === 0) {
      const error = errorAnswer(splice(line, edits));
      release();
      return this.#finish(error);
    }
    if (result !== undefined)
      edits.push({ start: result + 1, end: result + 1, text: resultMembers(this.#parts.method, line, result) });
    if (this.#reply === undefined) {
      release();
      return this.#finish({ line: splice(line, edits), status: 200 });
    }
    this.#over();
    this.#reply.answer(line, edits, release);
  }

  fail(fault: RpcFault): void {
    if (!this.done) this.#finish(fault);
  }

  dismiss(): void {
    if (this.done) return;
    this.#over();
    this.#reply?.dismiss();
  }

  /** Its answer becomes a stream of changes, and the call ends. */
  becomeStream(reply: StreamableReply, onGone: () => void): Changes {
    this.#over();
    return reply.takeStream(onGone);
  }

  // ── the rounds ──

  /** The client returned with its answers, each under its question's key. */
  resume({ clientId, clientToken }: CallParams, reply: StreamableReply, answers: object): void {
    this.#unsuspend();
    Object.assign(this.params, { clientId, clientToken });
    this.attach(reply);
    if (this.#held !== undefined) {
      const held = this.#held;
      this.#held = undefined;
      return this.#finish("line" in held ? { ...held, line: renumbered(held.line, clientId) } : held);
    }
    for (const [number, question] of this.#questions) {
      const answer = (answers as Record<string, unknown>)[question.key];
      if (answer === undefined) continue;
      this.#questions.delete(number);
      this.#respond({ jsonrpc: "2.0", id: number, result: answer });
    }
    if (this.#questions.size > 0 && !this.done) this.#suspend();
  }

  /** The client did not return. */
  giveUp(): void {
    if (this.#reply !== undefined) return;
    this.#unsuspend();
    this.gone();
  }

  #asked(envelope: Envelope, text: Buffer): void {
    const number = numberAt(text, envelope.idStart, envelope.idEnd);
    const isTaken = this.takesQuestions && !this.done && this.#parts.retained.hasRoom;
    const question = isTaken ? inputRequest(number, text, this.#parts.metadata.capabilities) : undefined;
    if (question === undefined) {
      const message = `the client cannot be asked ${envelope.method} here`;
      return this.#respond({ jsonrpc: "2.0", id: number, error: { code: rpcCode.methodUnknown, message } });
    }
    this.#questions.set(number, question);
    if (this.#reply !== undefined) this.#suspend();
  }

  #suspend(): void {
    const { retained, side, clock, questionMs } = this.#parts;
    this.#state = retained.keep(this);
    side.suspended.add(this);
    this.#patience = clock.after(questionMs, () => this.giveUp());
    const inputRequests = Object.fromEntries([...this.#questions.values()].map(({ key, request }) => [key, request]));
    const result = JSON.stringify({ resultType: "input_required", inputRequests, requestState: this.#state });
    const reply = this.#reply;
    this.#reply = undefined;
    reply?.answer(answerText(this.params.clientId, result), [], () => {});
  }

  #unsuspend(): void {
    const { retained, side } = this.#parts;
    if (this.#state !== undefined) retained.forget(this.#state);
    side.suspended.delete(this);
    this.#patience?.clear();
  }

  /** The client left: the server may stop. */
  gone(): void {
    if (this.#isOver) return;
    this.#parts.side.abandon(this);
    this.#over();
  }

  #finish(answer: { line: Buffer; status: number } | RpcFault): void {
    this.deadline?.clear();
    if (this.#reply === undefined && this.#state !== undefined && !this.open.session.ended) {
      this.#held = answer;
      return;
    }
    this.#over();
    if ("line" in answer) this.#reply?.answer(answer.line, [], () => {}, answer.status);
    else this.#reply?.refuse(errorBody(this.params.clientId, answer), statusOf(answer.code));
  }

  /** The call is over; its open questions are refused. */
  #over(): void {
    this.#isOver = true;
    this.#unsuspend();
    this.deadline?.clear();
    this.#leaveLease();
    this.#parts.side.done(this);
    for (const number of this.#questions.keys()) {
      const message = "the client went away without an answer";
      this.#respond({ jsonrpc: "2.0", id: number, error: { code: rpcCode.unavailable, message } });
    }
    this.#questions.clear();
  }

  #respond(message: object): void {
    const body = Buffer.from(JSON.stringify(message));
    this.open.respond(readEnvelope(body), body); // a server that takes no input does not wait for it
  }

  #pass(text: Buffer, release: () => void): void {
    if (this.#reply === undefined || this.done) release();
    else this.#reply.tell(text, [], release);
  }

  #asClient(): Client {
    const { side } = this.#parts;
    return {
      hear: (line, edits, release) => this.tell(line, edits, release),
      ask: (question: UpstreamQuestion) => side.ask(question),
      withdraw: (question) => {
        side.withdraw(question);
        this.#questions.delete(question.number);
        return true;
      },
      isSubscribed: () => false,
      roots: () => [],
    };
  }
}

/** An answer with another round's id replaced. */
function renumbered(line: Buffer, clientId: string): Buffer {
  const { idStart, idEnd } = readEnvelope(line);
  return splice(line, [{ start: idStart, end: idEnd, text: clientId }]);
}
