/**
 * One session's messages between its client (HTTP) and its server (one run's stdio): raw lines, of which only ids and
 * progress tokens are replaced. Calls are answered on their own responses; what the server says besides goes to the one
 * call in flight if there is exactly one, else to the client's stream, else it waits in the outbox.
 */
import type { LinkedRun, RunEvents, SentIds } from "../protocol/keeper/linked-run.ts";
import type { PatientCall as Call } from "./aggregate/client-side.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "./envelope.ts";
import type { EventStream } from "./event-stream.ts";
import { errorBody, type RpcFault } from "./json-rpc.ts";
import { timedOut, tooLong } from "./faults.ts";
import { epochSpan, Numbers } from "./numbers.ts";
import { Outbox } from "./outbox.ts";
import { pulseMs, type Beating } from "./pulse.ts";
import { Questions, type Question } from "./questions.ts";
import { eventHead, eventTail, flatten, splice, type Edit } from "./splice.ts";
import type { RelayParams } from "./relay-params.ts";
import { asText } from "./salvage.ts";
import { TokenBook } from "./token-book.ts";
import { Unreadable } from "./unreadable.ts";
import { numberAt, unheard } from "./upstream/words.ts";

export class Relay implements Pick<RunEvents, "onLine">, Beating {
  readonly #params: RelayParams;
  readonly #calls = new Map<number, Call>();
  readonly #questions: Questions;
  readonly #outbox: Outbox;
  /** What a front after this one must know of tasks. */
  readonly tokens: TokenBook;
  #run: LinkedRun | undefined;
  #stream: EventStream | undefined;
  /** Calls that the server answered, `initialize` among them. */
  answered = 0;
  readonly #numbers: Numbers;
  readonly #unreadable: Unreadable;

  constructor(params: RelayParams) {
    this.#params = params;
    this.#unreadable = new Unreadable({
      ...params,
      runId: () => this.#run?.id,
      numbers: () => [...this.#calls.keys()],
      fail: (number, fault) => this.#fail(number, fault),
      send: (line) => void this.#sendLine(line),
    });
    this.#numbers = new Numbers(params.frontEpoch);
    this.#questions = new Questions(params.frontEpoch * epochSpan);
    this.tokens = new TokenBook(params.onToken);
    this.#outbox = new Outbox((question) => this.#refuseQuestion(question.number));
  }

  /** Before this nothing can be sent. */
  attach(run: LinkedRun): void {
    this.#run = run;
  }

  get callsInFlight(): number {
    return this.#calls.size;
  }

  /** What the server printed that was no message, for whoever waited in vain. */
  get dropped(): string {
    return this.#unreadable.dropped;
  }

  get streaming(): boolean {
    return this.#stream?.open ?? false;
  }

  // ── from the client ──

  nextNumber(): number {
    return this.#numbers.next();
  }

  /** Sends a client's request on. False: the server does not keep up, nothing was sent. */
  request(call: Call, envelope: Envelope, body: Buffer): boolean {
    const { number, clientToken, startsTask } = call.params;
    const text = String(number);
    const edits: Edit[] = [{ start: envelope.idStart, end: envelope.idEnd, text }];
    if (clientToken !== undefined) edits.push({ start: envelope.tokenStart, end: envelope.tokenEnd, text });
    if (!this.#send(envelope, body, edits, { opens: number })) return false;
    this.#calls.set(number, call);
    if (startsTask && clientToken !== undefined) this.tokens.keep(number, clientToken);
    const { requestTimeoutMs, clock } = this.#params;
    if (requestTimeoutMs > 0) call.deadline ??= clock.after(requestTimeoutMs, () => this.#timeOut(call));
    return true;
  }

  /** Sends a client's notification on. False: the server does not keep up. */
  notify(envelope: Envelope, body: Buffer): boolean {
    if (envelope.method === "notifications/cancelled") return this.#cancelledByClient(envelope, body);
    if (envelope.method === "notifications/progress") {
      const token = this.#questions.get(numberAt(body, envelope.progressStart, envelope.progressEnd))?.serverToken;
      if (token === undefined) return true; // about a question that has its answer: nobody waits for it
      return this.#send(envelope, body, [{ start: envelope.progressStart, end: envelope.progressEnd, text: token }]);
    }
    return this.#send(envelope, body, []);
  }

  /** Sends a client's answer to a question of the server. False: the server does not keep up. */
  respond(envelope: Envelope, body: Buffer): boolean {
    const number = numberAt(body, envelope.idStart, envelope.idEnd);
    const question = this.#questions.get(number);
    if (question === undefined) return true; // answered before, or withdrawn by its server
    const edits = [{ start: envelope.idStart, end: envelope.idEnd, text: question.serverId }];
    if (!this.#send(envelope, body, edits, { closes: number })) return false;
    this.#questions.settle(number);
    return true;
  }

  /** The client listens; what waited is sent first. A stream that is open already is let go. */
  listen(stream: EventStream): void {
    this.#stream?.replace();
    this.#stream = stream;
    for (const event of this.#outbox.take()) stream.send(event, () => {});
  }

  /** The client of a call went away. We offer no second delivery, so the server may stop working on it. */
  abandon(call: Call): void {
    this.#giveUp(call, "the client went away");
  }

  /** Ends everything that waits, because the session or its server did. */
  close(fault: RpcFault): void {
    for (const call of this.#calls.values()) call.fail(fault);
    this.#calls.clear();
    this.hangUp();
    this.#outbox.take();
    this.#run = undefined;
  }

  /** Ends the client's stream; calls go on. */
  hangUp(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }

  // ── from the server ──

  onLine(bytes: Buffer, release: () => void, again: boolean): void {
    const line = asText(bytes);
    let envelope: Envelope;
    try {
      envelope = readEnvelope(line);
    } catch (thrown) {
      if (!(thrown instanceof EnvelopeError)) throw thrown;
      this.#unreadable.hear(line, thrown.message, (message) => this.onLine(message, () => {}, again));
      return release();
    }
    if (line.length > this.#params.messageBytesMax) return this.#tooLong(envelope, line, release);
    const text = envelope.broken ? flatten(Buffer.from(line)) : line;
    if (envelope.kind === "response") this.#answered(envelope, text, release);
    else if (envelope.kind === "request") this.#asked(envelope, text, release, again);
    else this.#notified(envelope, text, release);
  }

  beat(now: number): void {
    for (const call of this.#calls.values()) call.beat(now, pulseMs);
    this.#stream?.beat(now);
    this.#outbox.expire(now);
  }

  #answered(envelope: Envelope, line: Buffer, release: () => void): void {
    if (envelope.idStart === 0 && envelope.hasError) this.#unreadable.hearNameless("it names no request");
    const number = numberAt(line, envelope.idStart, envelope.idEnd);
    const call = this.#settle(number);
    this.#unreadable.answered(number);
    if (call !== undefined) this.answered++;
    if (call === undefined) return release(); // too late: its caller is gone, was told of a timeout, or cancelled
    if (call.params.onAnswer?.(line, envelope.hasError) === true) return release();
    call.answer(line, [{ start: envelope.idStart, end: envelope.idEnd, text: call.params.clientId }], release);
  }

  /** There will be no answer that can be read. */
  #fail(number: number, fault: RpcFault): void {
    const call = this.#settle(number);
    call?.params.onAnswer?.(errorBody(call.params.clientId, fault), true);
    call?.fail(fault);
    this.#unreadable.answered(number);
  }

  /** An answer has somebody who waits for it, and a question the server; anything else that is too long is dropped. */
  #tooLong(envelope: Envelope, line: Buffer, release: () => void): void {
    const fault = tooLong(this.#params.server, line.length, this.#params.messageBytesMax);
    const { kind, idStart, idEnd } = envelope;
    if (kind === "request") this.#unreadable.refuse(line.toString("latin1", idStart, idEnd), fault.message);
    else if (kind === "notification") this.#unreadable.drop(fault.message);
    else this.#fail(numberAt(line, idStart, idEnd), fault);
    release();
  }

  /** The call, which is no longer open. */
  #settle(number: number): Call | undefined {
    const call = this.#calls.get(number);
    if (call === undefined) return undefined;
    this.#calls.delete(number);
    this.#run?.closed(number);
    return call;
  }

  #asked(envelope: Envelope, line: Buffer, release: () => void, again: boolean): void {
    const serverId = line.toString("latin1", envelope.idStart, envelope.idEnd);
    const hasToken = envelope.tokenStart > 0;
    const serverToken = hasToken ? line.toString("latin1", envelope.tokenStart, envelope.tokenEnd) : undefined;
    // A question that the front before may have asked its client is not asked twice.
    const question = again ? undefined : this.#questions.ask(serverId, serverToken);
    if (question === undefined) {
      this.#sendLine(unheard(serverId));
      return release();
    }
    this.#run?.asked(question.number, serverId);
    const text = String(question.number);
    const edits: Edit[] = [{ start: envelope.idStart, end: envelope.idEnd, text }];
    if (hasToken) edits.push({ start: envelope.tokenStart, end: envelope.tokenEnd, text });
    this.#tell(line, edits, release, question);
  }

  #notified(envelope: Envelope, line: Buffer, release: () => void): void {
    const { method, progressStart, progressEnd } = envelope;
    if (method === "notifications/progress") {
      const number = numberAt(line, progressStart, progressEnd);
      const call = this.#calls.get(number);
      const text = call?.params.clientToken ?? this.tokens.get(number);
      if (text === undefined) return release(); // about a call that is over
      const edits = [{ start: progressStart, end: progressEnd, text }];
      if (call === undefined) this.#tell(line, edits, release, undefined);
      else call.tell(line, edits, release);
    } else if (method === "notifications/cancelled") this.#cancelledByServer(envelope, line, release);
    else this.#tell(line, [], release, undefined);
  }

  #tell(line: Buffer, edits: Edit[], release: () => void, question: Question | undefined): void {
    const [first] = this.#calls.values();
    if (this.#calls.size === 1 && first!.takesMessages !== false) return first!.tell(line, edits, release);
    const event = splice(line, edits, eventHead, eventTail);
    if (this.streaming) return this.#stream!.send(event, release);
    this.#outbox.add(event, question, this.#params.clock.monotonic());
    release();
  }

  // ── cancellation ──

  #cancelledByClient(envelope: Envelope, body: Buffer): boolean {
    const { requestStart: start, requestEnd: end } = envelope;
    const clientId = body.toString("latin1", start, end);
    const call = [...this.#calls.values()].find((each) => each.params.clientId === clientId);
    if (call === undefined) return true; // answered already
    if (!this.#send(envelope, body, [{ start, end, text: String(call.params.number) }])) return false;
    this.#settle(call.params.number);
    call.dismiss();
    return true;
  }

  #cancelledByServer(envelope: Envelope, line: Buffer, release: () => void): void {
    const { requestStart: start, requestEnd: end } = envelope;
    const question = this.#questions.find(line.toString("latin1", start, end));
    if (question === undefined) return release();
    this.#questions.settle(question.number);
    this.#run?.withdrawn(question.number);
    if (this.#outbox.withdraw(question)) return release();
    this.#tell(line, [{ start, end, text: String(question.number) }], release, undefined);
  }

  #timeOut(call: Call): void {
    const { server, requestTimeoutMs } = this.#params;
    this.#giveUp(call, "timeout");
    call.fail(timedOut(server, requestTimeoutMs, this.#unreadable.dropped));
  }

  #giveUp(call: Call, why: string): void {
    const { number } = call.params;
    if (this.#settle(number) === undefined) return;
    const params = { requestId: number, reason: why };
    this.#sendLine(Buffer.from(JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params })));
  }

  #refuseQuestion(number: number): void {
    const question = this.#questions.settle(number);
    if (question !== undefined) this.#sendLine(unheard(question.serverId), { closes: number });
  }

  // ── the line itself ──

  #send(envelope: Envelope, body: Buffer, edits: Edit[], ids?: SentIds): boolean {
    return this.#sendLine(splice(envelope.broken ? flatten(body) : body, edits), ids);
  }

  /** False when the server does not keep up. What we say of our own accord may be lost then: it only saves work. */
  #sendLine(line: Buffer, ids?: SentIds): boolean {
    return this.#run?.send(line, ids) ?? false;
  }
}
