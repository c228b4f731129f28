/**
 * `/mcp` and `/mcp/<server>`: streamable HTTP of the session era. Who may call at all has been decided before this is reached;
 * what says that its client keeps no session goes to the stateless door.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import { asHoldfastError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Asker } from "../sessions/owner.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionSet } from "../sessions/set.ts";
import { answerText, rpcCode } from "./json-rpc.ts";
import { downFault, slowServer } from "./faults.ts";
import { answerItself } from "./aggregate/client-side.ts";
import type { Assembly } from "./aggregate/assembly.ts";
import type { Hub } from "./aggregate/hub.ts";
import { clientOf, readIntroduction } from "./aggregate/introduction.ts";
import { notOffered } from "./aggregate/seats.ts";
import { overHttp, serveBatch } from "./batch.ts";
import { Call, callParams, noOwner, type CallParams } from "./call.ts";
import { endSession } from "./end-session.ts";
import type { Envelope } from "./envelope.ts";
import { EventStream } from "./event-stream.ts";
import { acceptsEvents, parentOf, scopeOf, sessionIdOf, versionProblem } from "./headers.ts";
import { HttpReply } from "./http-reply.ts";
import { HttpSessions, type Visit } from "./http-sessions.ts";
import { headProblem, receiveAny, type Received } from "./receive.ts";
import { invalid, refusal, unavailable, unknownSession, refuse, type Refusal } from "./reply.ts";
import { StatelessDoor } from "./stateless/door.ts";
import { namesStateless } from "./stateless/metadata.ts";
import { refusesSessions } from "./stateless/results.ts";

export interface EndpointParts {
  hub: Hub;
  sessions: SessionSet;
  clock: Clock;
  random: Random;
  messageBytesMax: number;
  /** How long a call waits for a client that has no session and was asked something. */
  questionMs: number;
}

export class McpEndpoint {
  readonly #parts: EndpointParts;
  readonly #stateless: StatelessDoor;
  readonly #sessions: HttpSessions;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    this.#stateless = new StatelessDoor(parts);
    this.#sessions = new HttpSessions(parts.hub, parts.sessions);
  }

  /** `name` undefined: `/mcp`, all servers as one. */
  async handle(
    name: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    headers: OutgoingHttpHeaders,
    caller: Asker,
  ): Promise<void> {
    const { hub } = this.#parts;
    // What could not be had may be there by now: whoever begins looks again.
    if (sessionIdOf(request) === undefined) await hub.servers.recheck(name);
    const selection = hub.servers.select(name);
    if (selection === undefined) {
      const { code, message } = hub.servers.whyNot(name ?? "");
      const no =
        code === "server_down" ? unavailable(message, code) : refusal(404, rpcCode.invalidRequest, code, message);
      return refuse(request, response, { ...no, headers });
    }
    const visit = { request, response, selection, headers, caller };
    if (namesStateless(request)) return this.#stateless.handle(visit);
    switch (request.method) {
      case "POST":
        return this.#post(visit);
      case "GET":
        return this.#get(visit);
      case "DELETE":
        return this.#delete(visit);
      default: {
        const message = `${request.method} is not a method of ${request.url}`;
        const no = refusal(405, rpcCode.invalidRequest, "method_unknown", message);
        return refuse(request, response, { ...no, headers: { allow: "GET, POST, DELETE" } });
      }
    }
  }

  // ── POST: one message, or a batch ──

  async #post(visit: Visit): Promise<void> {
    const { request, response, headers } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    const wrongHead = headProblem(request);
    if (wrongHead !== undefined) return deny(wrongHead);
    const open = sessionIdOf(request) === undefined ? undefined : this.#sessions.find(visit);
    if (open === null) return;
    const problem = versionProblem(request, this.#sessions.agreed(visit, open));
    if (problem !== undefined) return deny(invalid(400, problem));
    // The session is present from here until the response is done, also while a slow body comes in.
    if (open !== undefined) response.once("close", open.session.lease.hold());
    const received = await receiveAny(request, response, this.#parts.messageBytesMax, open?.takesBatches ?? false);
    if (received === "gone") return;
    if ("status" in received) return deny(received);
    if ("batch" in received) return open === undefined ? undefined : this.#passAll(visit, open, received.batch);
    if (open !== undefined) return this.#pass(visit, open, received);
    // The config may have been read anew while the body came in.
    const { label } = visit.selection;
    const selection = this.#parts.hub.servers.select(label ?? undefined);
    if (selection === undefined)
      return deny(refusal(404, rpcCode.invalidRequest, "server_unknown", notOffered(label ?? "")));
    const now = { ...visit, selection };
    if (received.envelope.versionStart > 0) return this.#stateless.take(now, received);
    const scope = scopeOf(request);
    if (scope === null) return deny(invalid(400, "a scope is 1 to 128 letters, digits and . _ ~ -"));
    if (scope !== undefined) return this.#inScope(now, scope, received);
    return this.#initialize(now, received);
  }

  #passAll(visit: Visit, open: Assembly, messages: Received[]): void {
    const { request, response, headers } = visit;
    if (open.session.ended) return refuse(request, response, { ...unknownSession(), headers });
    const batch = serveBatch(messages, overHttp(response, headers), {
      params: (envelope, body) => this.#callParams(visit, envelope, body),
      request: (call, envelope, body) => open.request(call, envelope, body),
      other: (envelope, body) =>
        void (envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body)),
      owner: open.client,
    });
    response.once("close", () => batch.leave());
  }

  #pass(visit: Visit, open: Assembly, { envelope, body }: Received): void {
    const { request, response, headers } = visit;
    if (open.session.ended) return refuse(request, response, { ...unknownSession(), headers });
    if (envelope.kind === "request") {
      const reply = new HttpReply(response, headers);
      return open.request(new Call(this.#callParams(visit, envelope, body), reply, open.client), envelope, body);
    }
    const taken = envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body);
    if (!taken)
      return refuse(request, response, { status: 503, fault: slowServer(open.session.server ?? "mcp"), headers });
    response.writeHead(202, { "content-length": 0, ...headers });
    response.end();
  }

  #callParams({ caller: { scopes } }: Visit, envelope: Envelope, body: Buffer): CallParams {
    const { hub, clock } = this.#parts;
    return callParams(envelope, body, { number: hub.numbers.next(), startedAt: clock.monotonic(), scopes });
  }

  // ── a client that keeps no session: its scope stands for it ──

  async #inScope(visit: Visit, scope: string, received: Received): Promise<void> {
    const { request, response, headers } = visit;
    const { envelope, body } = received;
    let open: Assembly;
    try {
      open = this.#sessions.inScope(visit, scope, received);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      return refuse(request, response, { ...unavailable(error.message, error.code), headers });
    }
    response.once("close", open.session.lease.hold());
    if (envelope.method !== "initialize") return this.#pass(visit, open, received);
    // It gets no session id, so it goes on to name its scope.
    const call = new Call(this.#callParams(visit, envelope, body), new HttpReply(response, headers), noOwner);
    try {
      answerItself(call, JSON.stringify(await open.introduce()));
    } catch (thrown) {
      call.fail(downFault(thrown));
    }
  }

  // ── the first message of a session ──

  async #initialize(visit: Visit, received: Received): Promise<void> {
    const { request, response, selection, headers, caller } = visit;
    const { envelope, body } = received;
    const { hub, sessions } = this.#parts;
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
    const isPassThrough = hub.passesAll(selection);
    const open = hub.assemble(session, selection, introduction, { isPassThrough });
    const reply = new HttpReply(response, { ...headers, "mcp-session-id": session.id }, 502);
    const call = new Call(this.#callParams(visit, envelope, body), reply, {
      done: (over) => open.client.done(over),
      // A client that leaves before it knew the session's id can never come back to it.
      abandon: () => void session.close("cancelled"),
    });
    response.once("close", session.lease.hold());
    open.client.begin(call);
    if (isPassThrough) {
      const onRefused = (line: Buffer) => {
        delete reply.headers["mcp-session-id"];
        return this.#refused(visit, received, open, call, line);
      };
      return open.open({ call, ...received, onRefused });
    }
    try {
      const result = JSON.stringify(await open.introduce());
      open.memory.begin();
      call.answer(answerText(id, result), [], () => {});
    } catch (thrown) {
      call.fail(downFault(thrown));
      void session.close("spawn-failed"); // what cannot be ended is logged by the session set
    }
  }

  /** A server that refuses its client leaves no session behind, so its id is not given out. True: it is answered otherwise. */
  #refused(visit: Visit, received: Received, open: Assembly, call: Call, line: Buffer): boolean {
    const { revisions } = this.#parts.hub.starter;
    open.client.done(call);
    void open.session.close("session-ended"); // what cannot be ended is logged by the session set
    const [server] = visit.selection.servers;
    if (server === undefined || !refusesSessions(line)) return false;
    // It knows no sessions, so nothing can be passed on to it; with a translator in between it can be served.
    revisions.refusedSessions(server);
    call.letGo();
    void this.#initialize(visit, received); // answers in every case
    return true;
  }

  // ── GET: the client listens ──

  #get(visit: Visit): void {
    const { request, response, headers, caller } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    if (!acceptsEvents(request)) return deny(invalid(406, "Accept must name text/event-stream"));
    const open = this.#sessions.find(visit);
    if (open === null) return;
    const problem = versionProblem(request, this.#sessions.agreed(visit, open));
    if (problem !== undefined) return deny(invalid(400, problem));
    // An admin who looks on takes nothing from the client whose session it is.
    if (open.client.streaming && open.session.tokenId !== caller.id)
      return deny(invalid(409, "this session's client has its stream open already"));
    response.once("close", open.session.lease.hold());
    const stream = new EventStream(response, headers);
    stream.flush();
    open.client.listen(stream);
  }

  // ── DELETE: the client ends its session ──

  async #delete(visit: Visit): Promise<void> {
    const open = this.#sessions.find(visit);
    if (open === null) return;
    await endSession(visit, open.session, this.#parts.clock);
  }
}
