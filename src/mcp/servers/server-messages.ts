/**
 * Routes a server's messages other than answers. On a server of one session: to its call in flight if there is exactly
 * one, else to the session. On a pooled server: to the session that owns all calls in flight. An abandoned call,
 * cancelled before its answer, counts as in flight, because the server may still be working on it.
 */
import type { HeldIds } from "../../protocol/keeper/messages.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { Envelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";
import { flatten, splice, type Edit } from "../wire/splice.ts";
import { noClient, type Client, type QuestionOrigin, type UpstreamQuestion, type Waiting } from "./client.ts";
import { unheard } from "../wire/faults.ts";
import type { Legacy } from "./wire.ts";

/** Abandoned calls remembered with their sessions, and again as many by number; beyond those, questions are refused. */
const abandonedMax = 1000;
const unownedMax = 100_000;

export interface ServerMessagesParams {
  shared: boolean;
  passesAll?: boolean | undefined;
  numbers: Numbers;
}

export class ServerMessages {
  readonly #params: ServerMessagesParams;
  readonly #origin: QuestionOrigin;
  readonly #calls: ReadonlyMap<number, Waiting>;
  readonly #send: (line: Buffer, ids?: SentIds) => boolean;
  readonly #legacy: () => Legacy | undefined;
  readonly #abandoned = new Map<number, Client>();
  /** All sessions that hold this server. */
  readonly clients = new Set<Client>();
  readonly #questions = new Map<string, { question: UpstreamQuestion; client: Client }>();
  /** While there are any, no session is known to be alone. */
  readonly #unowned = new Set<number>();
  #isOverrun = false;

  constructor(
    params: ServerMessagesParams,
    origin: QuestionOrigin,
    calls: ReadonlyMap<number, Waiting>,
    send: (line: Buffer, ids?: SentIds) => boolean,
    legacy: () => Legacy | undefined,
  ) {
    this.#params = params;
    this.#origin = origin;
    this.#calls = calls;
    this.#send = send;
    this.#legacy = legacy;
  }

  get abandoned(): number {
    return this.#abandoned.size + this.#unowned.size + (this.#isOverrun ? 1 : 0);
  }

  /** A call was cancelled while the server may still be working on it. */
  addAbandoned(number: number, client: Client): void {
    if (!this.#params.shared) return;
    if (this.#abandoned.size < abandonedMax) this.#abandoned.set(number, client);
    else if (this.#unowned.size < unownedMax) this.#unowned.add(number);
    else this.#isOverrun = true;
  }

  /** An abandoned call got its answer after all. Until then the next front must know of it. */
  resolveAbandoned(number: number): void {
    if (this.#abandoned.delete(number) || this.#unowned.delete(number)) this.#legacy()?.closed(number);
  }

  /** Cancels the previous front's calls and refuses its open questions at the server. */
  settleOld({ toServer, toFront }: HeldIds): void {
    const reason = "the connection to the caller was lost";
    for (const requestId of toServer) {
      this.addAbandoned(requestId, noClient);
      const message = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } };
      this.#send(Buffer.from(JSON.stringify(message)));
      if (!this.#params.shared) this.#legacy()?.closed(requestId);
    }
    for (const { number, serverId } of toFront) this.#send(unheard(serverId, reason), { closes: number });
  }

  /** A session is over: its abandoned calls lose their owner, to free its memory. */
  forget(client: Client): void {
    this.clients.delete(client);
    for (const [number, owner] of this.#abandoned) if (owner === client) this.#abandoned.set(number, noClient);
  }

  /** `again`: the previous front may have asked already, so the client is not asked. `about`: the question's call. */
  asked(envelope: Envelope, line: Buffer, release: () => void, again = false, about?: number): void {
    const serverId = line.toString("latin1", envelope.idStart, envelope.idEnd);
    const hasToken = envelope.tokenStart > 0;
    const serverToken = hasToken ? line.toString("latin1", envelope.tokenStart, envelope.tokenEnd) : undefined;
    if (envelope.method === "ping" && this.#params.passesAll !== true) {
      this.#send(Buffer.from(`{"jsonrpc":"2.0","id":${serverId},"result":{}}`, "latin1"));
      return release();
    }
    if (this.#params.shared && envelope.method === "roots/list") {
      this.#answerRoots(serverId);
      return release();
    }
    const concerned = about === undefined ? undefined : this.#calls.get(about);
    const meant = about === undefined ? this.#listener() : concerned?.client;
    const client = again ? undefined : meant;
    if (client === undefined) {
      this.#send(unheard(serverId, again ? undefined : refusal(this.#calls.size + this.abandoned)));
      return release();
    }
    const question = { number: this.#params.numbers.next(), serverId, serverToken, upstream: this.#origin };
    if (this.#questions.has(serverId) || !client.ask(question)) {
      this.#send(unheard(serverId));
      return release();
    }
    this.#questions.set(serverId, { question, client });
    this.#legacy()?.asked(question.number, serverId);
    const text = String(question.number);
    const edits: Edit[] = [{ start: envelope.idStart, end: envelope.idEnd, text }];
    if (hasToken) edits.push({ start: envelope.tokenStart, end: envelope.tokenEnd, text });
    if (concerned !== undefined && concerned.call.takesMessages !== false) concerned.call.tell(line, edits, release);
    else this.#pass(client, line, edits, release, question);
  }

  /** Any notification but progress and changed lists. */
  notified(envelope: Envelope, line: Buffer, release: () => void): void {
    if (envelope.method === "notifications/cancelled") return this.#withdrawn(envelope, line, release);
    if (envelope.method === "notifications/resources/updated" && this.#params.shared) {
      const uri = envelope.uriStart > 0 ? decode(line, envelope.uriStart, envelope.uriEnd) : undefined;
      if (uri !== undefined)
        for (const client of this.clients) if (client.isSubscribed(uri)) client.hear(line, [], () => {}, undefined);
      return release();
    }
    this.tell(line, [], release);
  }

  /** Sends to the concerned client; drops ambiguous messages. */
  tell(line: Buffer, edits: Edit[], release: () => void): void {
    const client = this.#listener();
    if (client === undefined) release();
    else this.#pass(client, line, edits, release, undefined);
  }

  respond(question: UpstreamQuestion, envelope: Envelope, body: Buffer): boolean {
    const bytes = envelope.broken ? flatten(body) : body;
    const edits = [{ start: envelope.idStart, end: envelope.idEnd, text: question.serverId }];
    if (!this.#send(splice(bytes, edits), { closes: question.number })) return false;
    this.settle(question);
    return true;
  }

  settle(question: UpstreamQuestion): void {
    this.#questions.delete(question.serverId);
  }

  questionsTo(client: Client): UpstreamQuestion[] {
    return [...this.#questions.values()].filter((open) => open.client === client).map((open) => open.question);
  }

  #answerRoots(serverId: string): void {
    // All clients of this server have the same roots: they are part of the pool's key.
    const [client] = this.clients;
    const result = JSON.stringify({ roots: client?.roots() ?? [] });
    this.#send(
      Buffer.concat([Buffer.from(`{"jsonrpc":"2.0","id":${serverId},"result":`, "latin1"), Buffer.from(`${result}}`)]),
    );
  }

  /** The only possible recipient. */
  #listener(): Client | undefined {
    if (!this.#params.shared) return [...this.clients][0];
    const concerned = new Set(
      [...this.#calls.values()].map(({ client }) => client).concat([...this.#abandoned.values()]),
    );
    const [only] = concerned;
    return concerned.size === 1 && this.#calls.size > 0 && this.abandoned === this.#abandoned.size ? only : undefined;
  }

  #pass(
    client: Client,
    line: Buffer,
    edits: Edit[],
    release: () => void,
    question: UpstreamQuestion | undefined,
  ): void {
    const [first] = this.#calls.values();
    const isAlone = this.#calls.size === 1 && first !== undefined;
    if (isAlone && first.call.takesMessages !== false) first.call.tell(line, edits, release);
    else client.hear(line, edits, release, question);
  }

  #withdrawn(envelope: Envelope, line: Buffer, release: () => void): void {
    const { requestStart: start, requestEnd: end } = envelope;
    const open = this.#questions.get(line.toString("latin1", start, end));
    if (open === undefined) return release();
    this.settle(open.question);
    this.#legacy()?.withdrawn(open.question.number);
    if (open.client.withdraw(open.question)) return release();
    const edits = [{ start, end, text: String(open.question.number) }];
    // The question may have gone with the only call in flight. On a shared server the current one may be another's.
    if (this.#params.shared) open.client.hear(line, edits, release, undefined);
    else this.#pass(open.client, line, edits, release, undefined);
  }
}

function refusal(concerned: number): string {
  const why = concerned === 0 ? "no call is in flight" : "several sessions have calls in flight";
  return `this server is shared (share: "pool") and ${why}, so no client can be asked on its behalf`;
}

function decode(bytes: Buffer, start: number, end: number): string {
  return JSON.parse(bytes.toString("utf8", start, end)) as string;
}
