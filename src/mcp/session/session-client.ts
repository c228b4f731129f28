/** A session's client: its calls in flight, its other messages, and its unanswered questions. */
import type { Clock } from "../../clock.ts";
import type { PendingCall } from "../wire/call.ts";
import type { Envelope } from "../wire/envelope.ts";
import { answerText, numberAt, resultStart, type RpcFault } from "../wire/json-rpc.ts";
import { Outbox } from "./outbox.ts";
import { heartbeatMs, type HeartbeatMember } from "../wire/stream-heartbeat.ts";
import { splice, type Edit } from "../wire/splice.ts";
import type { Client, ClientCall, UpstreamQuestion } from "../servers/client.ts";
import type { Upstream } from "../servers/upstream.ts";

/** Open questions at one time; further ones are refused. */
const questionsMax = 1000;

/** Answers a call in place of a server. */
export function answerItself(call: PendingCall, result: Buffer | string): void {
  const { clientId } = call.params;
  call.answer(answerText(clientId, result), [], () => {}, resultStart(clientId));
}

/** The client's message stream: server-sent events, or the single line stream of a stdio client. */
export interface ClientStream {
  readonly open: boolean;
  send(message: Buffer, release: () => void): void;
  heartbeat(now: number): void;
  end(): void;
  /** Ends it in favor of another one, without waiting for a client that may be gone. */
  replace?(): void;
}

/** The text around a message on the way to the client. */
export interface Framing {
  head: string;
  tail: string;
}

export class SessionClient implements Client, HeartbeatMember {
  /** Resources that the client subscribed to, and their servers. */
  readonly subscriptions = new Map<string, string>();
  /** The client's roots, as far as they are known. */
  rootsOf: () => unknown = () => undefined;
  /** A call is over: answered, failed, or cancelled. */
  onDone: (call: ClientCall) => void = () => {};
  readonly #clock: Clock;
  readonly #framing: Framing;
  readonly #calls = new Map<ClientCall, Upstream | undefined>();
  readonly #questions = new Map<number, UpstreamQuestion>();
  readonly #outbox: Outbox;
  #stream: ClientStream | undefined;
  #onQuiet: () => void = () => {};
  #refusesQuestions = false;

  constructor(clock: Clock, framing: Framing) {
    this.#clock = clock;
    this.#framing = framing;
    this.#outbox = new Outbox((question) => {
      const open = this.#questions.get(question.number);
      this.#questions.delete(question.number);
      open?.upstream.refuse(open);
    });
  }

  get streaming(): boolean {
    return this.#stream?.open ?? false;
  }

  get calls(): Iterable<ClientCall> {
    return this.#calls.keys();
  }

  get callsInFlight(): number {
    return this.#calls.size;
  }

  // ── calls ──

  begin(call: ClientCall): void {
    this.#calls.set(call, undefined);
  }

  /** The call is with this server now. */
  sent(call: ClientCall, upstream: Upstream): void {
    this.#calls.set(call, upstream);
  }

  done(call: ClientCall): void {
    this.onDone(call);
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#onQuiet();
  }

  /** Runs `action` as soon as no call is in flight. */
  whenQuiet(action: () => void): void {
    this.#onQuiet = action;
    if (this.#calls.size === 0) action();
  }

  /** The client of a call went away. */
  abandon(call: ClientCall): void {
    this.#calls.get(call)?.abandon(call);
  }

  /** The session ends: every call in flight is answered with this fault. */
  failAll(fault: RpcFault): void {
    const all = [...this.#calls];
    this.#calls.clear();
    for (const [call, upstream] of all) {
      if (!call.done && upstream?.shared === true) upstream.abandon(call, "the session ended");
      call.fail(fault);
    }
  }

  // ── messages of the client other than calls; false: the server does not keep up ──

  cancelled(envelope: Envelope, body: Buffer): boolean {
    const clientId = body.toString("latin1", envelope.requestStart, envelope.requestEnd);
    for (const [call, upstream] of this.#calls) {
      if (call.done || call.params.clientId !== clientId) continue;
      if (upstream !== undefined) return upstream.cancel(call, envelope, body);
      call.dismiss();
    }
    return true; // answered already, or not yet at a server
  }

  progressed(envelope: Envelope, body: Buffer): boolean {
    const { progressStart: start, progressEnd: end } = envelope;
    const question = this.#questions.get(numberAt(body, start, end));
    if (question?.serverToken === undefined) return true; // about an answered question
    return question.upstream.send(envelope, body, [{ start, end, text: question.serverToken }]);
  }

  responded(number: number, envelope: Envelope, body: Buffer): boolean {
    const question = this.#questions.get(number);
    if (question === undefined) return true; // answered before, or withdrawn by its server
    if (!question.upstream.respond(question, envelope, body)) return false;
    this.settle(question);
    return true;
  }

  // ── the client's stream ──

  /** Replaces an earlier stream: the client reconnected. */
  listen(stream: ClientStream): void {
    this.#stream?.replace?.();
    this.#stream = stream;
    for (const event of this.#outbox.take()) stream.send(event, () => {});
  }

  /** The gateway stops: only answers of calls in flight follow. */
  quiet(): void {}

  hangUp(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }

  /** Sends our own message, on the client's stream or else with one of its open calls. */
  say(message: object): void {
    const line = Buffer.from(JSON.stringify(message));
    const waiting = [...this.#calls.keys()].find((call) => !call.done && call.takesMessages !== false);
    if (this.streaming || waiting === undefined) this.hear(line, [], () => {}, undefined);
    else waiting.tell(line, [], () => {});
  }

  heartbeat(now: number): void {
    for (const call of this.#calls.keys()) call.heartbeat(now, heartbeatMs);
    this.#stream?.heartbeat(now);
    this.#outbox.expire(now);
  }

  // ── as its servers see it ──

  hear(line: Buffer, edits: Edit[], release: () => void, question: UpstreamQuestion | undefined): void {
    const event = splice(line, edits, this.#framing.head, this.#framing.tail);
    if (this.streaming) return this.#stream?.send(event, release);
    this.#outbox.add(event, question, this.#clock.monotonic());
    release();
  }

  /** The client will answer no more: refuses its open questions. */
  refuseQuestions(): void {
    this.#refusesQuestions = true;
    const asked = [...this.#questions.values()];
    this.#questions.clear();
    for (const question of asked) question.upstream.refuse(question);
  }

  ask(question: UpstreamQuestion): boolean {
    if (this.#refusesQuestions) return false;
    if (this.#questions.size >= questionsMax) return false;
    this.#questions.set(question.number, question);
    return true;
  }

  withdraw(question: UpstreamQuestion): boolean {
    this.#questions.delete(question.number);
    return this.#outbox.withdraw(question);
  }

  isSubscribed(uri: string): boolean {
    return this.subscriptions.has(uri);
  }

  roots(): unknown {
    return this.rootsOf();
  }

  settle(question: UpstreamQuestion): void {
    this.#questions.delete(question.number);
  }
}
