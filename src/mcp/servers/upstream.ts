/**
 * One initialized MCP server with all calls on it. Passes raw lines, with only ids, tokens and names replaced. A server
 * of one session may send it any message; a pooled one sends messages other than answers only to the single caller in
 * flight, and ambiguous questions are refused.
 */
import type { EndReason } from "../../protocol/run.ts";
import type { ErrorCode } from "../../errors.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { HeldIds } from "../../protocol/keeper/messages.ts";
import { EnvelopeError, readEnvelope, type Envelope } from "../wire/envelope.ts";
import { errorBody, rpcCode, type RpcFault, numberAt } from "../wire/json-rpc.ts";
import { timedOut, unheard } from "../wire/faults.ts";
import { flatten, splice, type Edit } from "../wire/splice.ts";
import { asText } from "../wire/salvage.ts";
import { TokenBook } from "./token-book.ts";
import { Unreadable } from "../wire/unreadable.ts";
import { OwnRequests, type OwnAnswer } from "./own-requests.ts";
import type { Client, UpstreamQuestion, Waiting } from "./client.ts";
import type { PendingCall } from "../wire/call.ts";
import type { UpstreamParams } from "./upstream-params.ts";
import { ServerMessages } from "./server-messages.ts";
import type { Wire, WireEvents } from "./wire.ts";

export class Upstream implements WireEvents {
  readonly #params: UpstreamParams;
  readonly #calls = new Map<number, Waiting>();
  readonly #own: OwnRequests;
  /** Progress tokens of tasks, for the next front. */
  readonly tokens: TokenBook;
  readonly #serverMessages: ServerMessages;
  #wire: Wire | undefined;
  #outcome: string | undefined;
  readonly #unreadable: Unreadable;
  /** It speaks the stateless revision: a stateless client gets its answers unchanged. */
  isStateless = false;
  /** Calls of clients that this server answered. */
  answered = 0;

  constructor(params: UpstreamParams) {
    this.#params = params;
    this.tokens = new TokenBook(params.onToken);
    const closed = (number: number) => this.#wire?.legacy?.closed(number);
    const parts = { ...params, dropped: () => this.#unreadable.dropped };
    this.#own = new OwnRequests(parts, (message, ids) => this.say(message, ids), closed);
    this.#unreadable = new Unreadable({
      ...params,
      runId: () => this.runId,
      numbers: () => [...this.#calls.keys(), ...this.#own.numbers()],
      fail: (number, fault) => this.#fail(number, fault),
      send: (line) => void this.#sendLine(line),
    });
    const send = (line: Buffer, ids?: SentIds) => this.#sendLine(line, ids);
    this.#serverMessages = new ServerMessages(params, this, this.#calls, send, () => this.#wire?.legacy);
  }

  attach(wire: Wire): void {
    this.#wire = wire;
  }

  get server(): string {
    return this.#params.server;
  }

  get shared(): boolean {
    return this.#params.shared;
  }

  get asksClients(): boolean {
    return this.#params.asksClients;
  }

  get runId(): string | undefined {
    return this.#wire?.runId;
  }

  get closed(): boolean {
    return this.#outcome !== undefined;
  }

  /** A description of the discarded output, for timeout errors. */
  get dropped(): string {
    return this.#unreadable.dropped;
  }

  get callsInFlight(): number {
    return this.#calls.size;
  }

  /** The server may still be working on an abandoned call and ask a question for its client. */
  get hasAbandonedCalls(): boolean {
    return this.#serverMessages.abandoned > 0;
  }

  /** Settles the open requests of the previous front. Its calls may still be running, for unknown clients. */
  settle(left: HeldIds): void {
    this.#serverMessages.settleOld(left);
  }

  /** Stores the handoff state of the server; empty: it ends with this front. */
  leaveHandoff(blob: string): void {
    this.#wire?.legacy?.leave(blob);
  }

  // ── to the server ──

  /** Sends a client's request, with further edits of the caller's. False: the server does not keep up. */
  request(client: Client, call: PendingCall, envelope: Envelope, body: Buffer, more: Edit[] = []): boolean {
    const { number, clientToken, startsTask, sessionMeta } = call.params;
    const text = String(number);
    const edits: Edit[] = [{ start: envelope.idStart, end: envelope.idEnd, text }, ...more];
    if (sessionMeta !== undefined && !this.isStateless)
      edits.push({ start: envelope.metaStart, end: envelope.metaEnd, text: sessionMeta });
    else if (clientToken !== undefined) edits.push({ start: envelope.tokenStart, end: envelope.tokenEnd, text });
    if (!this.send(envelope, body, edits, { opens: number })) return false;
    if (this.#calls.size === 0) this.#params.onBusy(true);
    this.#calls.set(number, { call, client });
    if (startsTask && clientToken !== undefined) this.tokens.keep(number, clientToken);
    const { requestTimeoutMs, clock } = this.#params;
    if (requestTimeoutMs > 0) call.deadline ??= clock.after(requestTimeoutMs, () => this.#timeOut(call));
    return true;
  }

  /** Sends any other message of a client. */
  send(envelope: Envelope, body: Buffer, edits: Edit[], ids?: SentIds): boolean {
    return this.#sendLine(splice(envelope.broken ? flatten(body) : body, edits), ids);
  }

  /** Sends a request of our own. Rejects with a sentence: the server's error, its end, or a timeout. */
  async ask(method: string, params: object, boundMs: number): Promise<unknown> {
    return (await this.askSized(method, params, boundMs)).result;
  }

  /** The same, with the length of the answer. */
  askSized(method: string, params: object, boundMs: number): Promise<OwnAnswer> {
    if (this.closed) return Promise.reject(new Error(this.#outcome));
    return this.#own.ask(method, params, boundMs);
  }

  /** A message of our own. */
  say(message: object, ids?: SentIds): boolean {
    return this.#sendLine(Buffer.from(JSON.stringify(message)), ids);
  }

  /** The client cancelled its call, by its own id. False: the server does not keep up. */
  cancel(call: PendingCall, envelope: Envelope, body: Buffer): boolean {
    const { requestStart: start, requestEnd: end } = envelope;
    const { number } = call.params;
    if (!this.#calls.has(number)) return true; // answered already
    if (!this.send(envelope, body, [{ start, end, text: String(number) }])) return false;
    this.#markAbandoned(number);
    call.dismiss();
    return true;
  }

  /** The client of a call left: the server may stop working on it. */
  abandon(call: PendingCall, why = "the client went away"): void {
    const { number } = call.params;
    if (!this.#markAbandoned(number)) return;
    this.say({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: number, reason: why } });
  }

  /** The session receives messages from now on, until it leaves. */
  join(client: Client): void {
    this.#serverMessages.clients.add(client);
  }

  /** A session is over: its calls are abandoned, and the server's questions to it refused. */
  leave(client: Client): void {
    for (const { call, client: owner } of this.#calls.values())
      if (owner === client) this.abandon(call, "the session ended");
    for (const question of this.#serverMessages.questionsTo(client)) this.refuse(question);
    this.#serverMessages.forget(client);
  }

  // ── from the server ──

  onLine(bytes: Buffer, release: () => void, again = false, about?: number): void {
    const line = asText(bytes);
    let envelope: Envelope;
    try {
      envelope = readEnvelope(line);
    } catch (thrown) {
      if (!(thrown instanceof EnvelopeError)) throw thrown;
      this.#unreadable.hear(line, thrown.message, (message) => this.onLine(message, () => {}, again, about));
      return release();
    }
    if (line.length > this.#params.messageBytesMax) {
      this.#unreadable.hearTooLong(envelope, line, this.#params.messageBytesMax);
      return release();
    }
    const text = envelope.broken ? flatten(Buffer.from(line)) : line;
    // A stalled reader may pause a server of its own, never a shared one.
    const go = this.#params.shared ? () => {} : release;
    if (envelope.kind === "response") this.#answered(envelope, text, go);
    else if (envelope.kind === "request") this.#serverMessages.asked(envelope, text, go, again, about);
    else this.#notified(envelope, text, go);
    if (this.#params.shared) release();
  }

  onClosed(outcome: string, code: ErrorCode = "run_ended", reason: EndReason = "exited"): void {
    if (this.closed) return;
    this.#outcome = outcome;
    const fault: RpcFault = { code: rpcCode.unavailable, message: outcome, reason: code };
    for (const { call } of this.#calls.values()) call.fail(fault);
    this.#calls.clear();
    this.#own.fail(outcome);
    this.#params.onClosed(outcome, reason);
  }

  #answered(envelope: Envelope, line: Buffer, release: () => void): void {
    if (envelope.idStart === 0 && envelope.hasError) this.#unreadable.hearNameless("it names no request");
    const number = numberAt(line, envelope.idStart, envelope.idEnd);
    const waiting = this.#calls.get(number);
    if (waiting === undefined) {
      this.#serverMessages.resolveAbandoned(number);
      this.#own.answered(number, envelope, line);
      this.#unreadable.answered(number);
      return release();
    }
    this.#drop(number);
    if (!envelope.hasError) this.answered++;
    const { call } = waiting;
    if (call.params.onAnswer?.(line, envelope.hasError) === true) {
      this.#unreadable.answered(number);
      return release();
    }
    const edits = [{ start: envelope.idStart, end: envelope.idEnd, text: call.params.clientId }];
    const result = envelope.hasError ? 0 : envelope.resultStart;
    call.answer(line, edits, release, this.isStateless && result > 0 ? undefined : result);
    this.#unreadable.answered(number);
  }

  /** No readable answer will follow. */
  #fail(number: number, fault: RpcFault): void {
    const waiting = this.#calls.get(number);
    this.#drop(number);
    this.#serverMessages.resolveAbandoned(number);
    if (waiting === undefined) this.#own.refuse(number, fault.message);
    else {
      waiting.call.params.onAnswer?.(errorBody(waiting.call.params.clientId, fault), true);
      waiting.call.fail(fault);
    }
    this.#unreadable.answered(number);
  }

  #notified(envelope: Envelope, line: Buffer, release: () => void): void {
    const { method, progressStart, progressEnd } = envelope;
    const list = /^notifications\/(tools|prompts|resources)\/list_changed$/.exec(method)?.[1];
    if (list !== undefined && this.#params.passesAll !== true) {
      this.#params.onListChanged(list);
      return release();
    }
    if (method !== "notifications/progress") return this.#serverMessages.notified(envelope, line, release);
    const number = numberAt(line, progressStart, progressEnd);
    const call = this.#calls.get(number)?.call;
    const text = call?.params.clientToken ?? this.tokens.get(number);
    if (text === undefined) return release(); // about a call that is over
    const edits = [{ start: progressStart, end: progressEnd, text }];
    if (call === undefined) this.#serverMessages.tell(line, edits, release);
    else call.tell(line, edits, release);
  }

  #timeOut(call: PendingCall): void {
    this.abandon(call, "timeout");
    call.fail(timedOut(this.server, this.#params.requestTimeoutMs, this.#unreadable.dropped));
  }

  /** Abandons a call that the server may still be working on. */
  #markAbandoned(number: number): boolean {
    const waiting = this.#calls.get(number);
    if (waiting === undefined) return false;
    // A stateless server sends nothing more for a cancelled call, and each of its questions names its call.
    if (!this.isStateless) this.#serverMessages.addAbandoned(number, waiting.client);
    this.#drop(number, this.shared && !this.isStateless);
    return true;
  }

  #drop(number: number, isAbandoned = false): void {
    if (!this.#calls.delete(number)) return;
    if (!isAbandoned) this.#wire?.legacy?.closed(number);
    if (this.#calls.size === 0) this.#params.onBusy(false);
  }

  #sendLine(line: Buffer, ids?: SentIds): boolean {
    return this.#outcome === undefined && (this.#wire?.send(line, ids) ?? false);
  }

  /** The client answered a question. False: the server does not keep up. */
  respond(question: UpstreamQuestion, envelope: Envelope, body: Buffer): boolean {
    return this.#serverMessages.respond(question, envelope, body);
  }

  /** The client will not answer. */
  refuse(question: UpstreamQuestion): void {
    this.#serverMessages.settle(question);
    this.#sendLine(unheard(question.serverId), { closes: question.number });
  }
}
