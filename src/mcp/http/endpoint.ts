/**
 * `/mcp` and `/mcp/<server>`: streamable HTTP of the session-based revisions. The caller is authorized before this
 * point; requests of stateless clients go to the stateless endpoint.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../../clock.ts";
import { asHoldfastError } from "../../errors.ts";
import type { Random } from "../../random.ts";
import type { Asker } from "../../sessions/owner.ts";
import type { Session } from "../../sessions/session.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { answerText, rpcCode } from "../wire/json-rpc.ts";
import { downFault, slowServer } from "../wire/faults.ts";
import { answerItself } from "../session/session-client.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import type { SessionManager } from "../session/session-manager.ts";
import { clientOf, readIntroduction } from "../session/introduction.ts";
import { notOffered } from "../session/bindings.ts";
import { overHttp, serveBatch } from "../wire/batch.ts";
import { Call, callParams, noOwner, type CallParams } from "../wire/call.ts";
import type { BodyReader } from "./body.ts";
import { endSession } from "./end-session.ts";
import type { Envelope } from "../wire/envelope.ts";
import { EventStream } from "../wire/event-stream.ts";
import { acceptsEvents, parentOf, scopeOf, sessionIdOf, versionProblem } from "../wire/headers.ts";
import { HttpReply } from "./http-reply.ts";
import { HttpSessions, type HttpExchange } from "./http-sessions.ts";
import { holdUntilClosed } from "./presence.ts";
import { headProblem, receiveAny, type Received } from "./receive.ts";
import { invalid, refusal, unavailable, unknownSession, refuse, type Refusal } from "./reply.ts";
import { StatelessEndpoint } from "./stateless-endpoint.ts";
import { namesStateless } from "../stateless/request-metadata.ts";
import { refusesSessions } from "../stateless/results.ts";

export interface EndpointParts {
  manager: SessionManager;
  sessions: SessionSet;
  clock: Clock;
  random: Random;
  bodies: BodyReader;
  messageBytesMax: number;
  /** Longest wait of a call for the answer of a client without a session. */
  questionMs: number;
}

export class McpEndpoint {
  readonly #parts: EndpointParts;
  readonly #stateless: StatelessEndpoint;
  readonly #sessions: HttpSessions;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    this.#stateless = new StatelessEndpoint(parts);
    this.#sessions = new HttpSessions(parts.manager, parts.sessions);
  }

  /** `name` undefined: `/mcp`, the aggregate of all servers. */
  async handle(
    name: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    headers: OutgoingHttpHeaders,
    caller: Asker,
  ): Promise<void> {
    const { manager } = this.#parts;
    // A new session retries servers that were unavailable earlier.
    if (sessionIdOf(request) === undefined) await manager.servers.recheck(name);
    const selection = manager.servers.select(name);
    if (selection === undefined) {
      const { code, message } = manager.servers.whyNot(name ?? "");
      const no =
        code === "server_down" ? unavailable(message, code) : refusal(404, rpcCode.invalidRequest, code, message);
      return refuse(request, response, { ...no, headers });
    }
    const exchange = { request, response, selection, headers, caller };
    if (namesStateless(request)) return this.#stateless.handle(exchange);
    switch (request.method) {
      case "POST":
        return this.#post(exchange);
      case "GET":
        return this.#get(exchange);
      case "DELETE":
        return this.#delete(exchange);
      default: {
        const message = `${request.method} is not a method of ${request.url}`;
        const no = refusal(405, rpcCode.invalidRequest, "method_unknown", message);
        return refuse(request, response, { ...no, headers: { allow: "GET, POST, DELETE" } });
      }
    }
  }

  // ── POST: one message, or a batch ──

  async #post(exchange: HttpExchange): Promise<void> {
    const { request, response, headers } = exchange;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    const wrongHead = headProblem(request);
    if (wrongHead !== undefined) return deny(wrongHead);
    const open = sessionIdOf(request) === undefined ? undefined : this.#sessions.find(exchange);
    if (open === null) return;
    const problem = versionProblem(request, this.#sessions.agreed(exchange, open));
    if (problem !== undefined) return deny(invalid(400, problem));
    // The session counts as present until the response is done, including a slow upload of the body.
    if (open !== undefined) holdUntilClosed(open.session, response);
    const { bodies, messageBytesMax } = this.#parts;
    const received = await receiveAny(bodies, request, response, messageBytesMax, open?.takesBatches ?? false);
    if (received === "gone") return;
    if ("status" in received) return deny(received);
    if ("batch" in received) return open === undefined ? undefined : this.#passAll(exchange, open, received.batch);
    if (open !== undefined) return this.#pass(exchange, open, received);
    // The config may have been reloaded while the body arrived.
    const { label } = exchange.selection;
    const selection = this.#parts.manager.servers.select(label ?? undefined);
    if (selection === undefined)
      return deny(refusal(404, rpcCode.invalidRequest, "server_unknown", notOffered(label ?? "")));
    const now = { ...exchange, selection };
    if (received.envelope.versionStart > 0) return this.#stateless.take(now, received);
    const scope = scopeOf(request);
    if (scope === null) return deny(invalid(400, "a scope is 1 to 128 letters, digits and . _ ~ -"));
    if (scope !== undefined) return this.#inScope(now, scope, received);
    return this.#initialize(now, received);
  }

  #passAll(exchange: HttpExchange, open: AggregateSession, messages: Received[]): void {
    const { request, response, headers } = exchange;
    if (open.session.ended) return refuse(request, response, { ...unknownSession(), headers });
    const batch = serveBatch(messages, overHttp(response, headers), {
      params: (envelope, body) => this.#callParams(exchange, envelope, body),
      request: (call, envelope, body) => open.request(call, envelope, body),
      other: (envelope, body) =>
        void (envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body)),
      owner: open.client,
    });
    response.once("close", () => batch.leave());
  }

  #pass(exchange: HttpExchange, open: AggregateSession, { envelope, body }: Received): void {
    const { request, response, headers } = exchange;
    if (open.session.ended) return refuse(request, response, { ...unknownSession(), headers });
    if (envelope.kind === "request") {
      const reply = new HttpReply(response, headers);
      return open.request(new Call(this.#callParams(exchange, envelope, body), reply, open.client), envelope, body);
    }
    const taken = envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body);
    if (!taken)
      return refuse(request, response, { status: 503, fault: slowServer(open.session.server ?? "mcp"), headers });
    response.writeHead(202, { "content-length": 0, ...headers });
    response.end();
  }

  #callParams({ caller: { scopes } }: HttpExchange, envelope: Envelope, body: Buffer): CallParams {
    const { manager, clock } = this.#parts;
    return callParams(envelope, body, { number: manager.numbers.next(), startedAt: clock.monotonic(), scopes });
  }

  // ── a client without a session: its scope identifies it ──

  async #inScope(exchange: HttpExchange, scope: string, received: Received): Promise<void> {
    const { request, response, headers } = exchange;
    const { envelope, body } = received;
    let open: AggregateSession;
    try {
      open = this.#sessions.inScope(exchange, scope, received);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      return refuse(request, response, { ...unavailable(error.message, error.code), headers });
    }
    holdUntilClosed(open.session, response);
    if (envelope.method !== "initialize") return this.#pass(exchange, open, received);
    // It gets no session id, so it keeps naming its scope.
    const call = new Call(this.#callParams(exchange, envelope, body), new HttpReply(response, headers), noOwner);
    try {
      answerItself(call, JSON.stringify(await open.introduce()));
    } catch (thrown) {
      call.fail(downFault(thrown));
    }
  }

  // ── the first message of a session ──

  async #initialize(exchange: HttpExchange, received: Received): Promise<void> {
    const { request, response, selection, headers, caller } = exchange;
    const { envelope, body } = received;
    const { manager, sessions } = this.#parts;
    if (envelope.kind !== "request" || envelope.method !== "initialize") {
      const message = "Mcp-Session-Id is missing; a session begins with an initialize request";
      return refuse(request, response, { ...invalid(400, message), headers });
    }
    const introduction = readIntroduction(body);
    const id = body.toString("latin1", envelope.idStart, envelope.idEnd);
    let session: Session;
    try {
      const client = clientOf(introduction);
      session = sessions.open({ client, server: selection.label, parentId: parentOf(request) }, caller);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      return refuse(request, response, { ...unavailable(error.message, error.code), id, headers });
    }
    const isPassThrough = manager.passesAll(selection);
    const open = manager.create(session, selection, introduction, { isPassThrough });
    const reply = new HttpReply(response, { ...headers, "mcp-session-id": session.id }, 502);
    const call = new Call(this.#callParams(exchange, envelope, body), reply, {
      done: (over) => open.client.done(over),
      // A client that leaves before it learns the session's id can never return to it.
      abandon: () => void session.close("cancelled"),
    });
    holdUntilClosed(session, response);
    open.client.begin(call);
    if (isPassThrough) {
      const onRefused = (line: Buffer) => {
        delete reply.headers["mcp-session-id"];
        return this.#refused(exchange, received, open, call, line);
      };
      return open.open({ call, ...received, onRefused });
    }
    try {
      const result = JSON.stringify(await open.introduce());
      open.handoff.begin();
      call.answer(answerText(id, result), [], () => {});
    } catch (thrown) {
      call.fail(downFault(thrown));
      void session.close("spawn-failed"); // the session set logs what cannot be ended
    }
  }

  /** A server that rejects its client leaves no session, so no id is sent. True: the call is answered elsewhere. */
  #refused(exchange: HttpExchange, received: Received, open: AggregateSession, call: Call, line: Buffer): boolean {
    const { revisions } = this.#parts.manager.starter;
    open.client.done(call);
    void open.session.close("session-ended"); // the session set logs what cannot be ended
    const [server] = exchange.selection.servers;
    if (server === undefined || !refusesSessions(line)) return false;
    // A stateless server cannot take pass-through traffic, but a revision adapter can serve its client.
    revisions.refusedSessions(server);
    call.letGo();
    // A client that left meanwhile would never release a session.
    if (exchange.response.closed) return true;
    void this.#initialize(exchange, received); // always answers
    return true;
  }

  // ── GET: the client listens ──

  #get(exchange: HttpExchange): void {
    const { request, response, headers, caller } = exchange;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    if (!acceptsEvents(request)) return deny(invalid(406, "Accept must name text/event-stream"));
    const open = this.#sessions.find(exchange);
    if (open === null) return;
    const problem = versionProblem(request, this.#sessions.agreed(exchange, open));
    if (problem !== undefined) return deny(invalid(400, problem));
    // A monitoring admin must not take the stream from the session's own client.
    if (open.client.streaming && open.session.tokenId !== caller.id)
      return deny(invalid(409, "this session's client has its stream open already"));
    holdUntilClosed(open.session, response);
    const stream = new EventStream(response, headers);
    stream.flush();
    open.client.listen(stream);
  }

  // ── DELETE: the client ends its session ──

  async #delete(exchange: HttpExchange): Promise<void> {
    const open = this.#sessions.find(exchange);
    if (open === null) return;
    await endSession(exchange, open.session, this.#parts.clock);
  }
}
