/** `/mcp`, and `/mcp/<server>` where sessions share or servers come and go: streamable HTTP of the session era. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Random } from "../../random.ts";
import type { Clock } from "../../clock.ts";
import { asHoldfastError } from "../../errors.ts";
import type { Asker } from "../../sessions/owner.ts";
import type { Session } from "../../sessions/session.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { overHttp, serveBatch } from "../batch.ts";
import { Call, type CallParams } from "../call.ts";
import type { Envelope } from "../envelope.ts";
import { EventStream } from "../event-stream.ts";
import { acceptsEvents, parentOf, scopeOf, sessionIdOf, sessionVersions, versionProblem } from "../headers.ts";
import { endSession } from "../end-session.ts";
import { rpcCode } from "../json-rpc.ts";
import { headProblem, receiveAny, type Received } from "../receive.ts";
import { invalid, refusal, slowServer, unavailable, unknownSession } from "../refusals.ts";
import { refuse, type Refusal } from "../reply.ts";
import { answerText, downFault } from "./answers.ts";
import type { Assembly } from "./assembly.ts";
import type { Hub, Selection } from "./hub.ts";
import { clientOf, readIntroduction } from "./introduction.ts";
import { notOffered } from "./seats.ts";
import { StatelessDoor, type StatelessVisit } from "../stateless/door.ts";
import { namesStateless } from "../stateless/metadata.ts";

export interface DoorParts {
  hub: Hub;
  sessions: SessionSet;
  clock: Clock;
  random: Random;
  messageBytesMax: number;
  /** How long a call waits for a client that has no session and was asked something. */
  questionMs: number;
}

/** One request on its way through the door. */
interface Visit {
  request: IncomingMessage;
  response: ServerResponse;
  selection: Selection;
  caller: Asker;
  headers: OutgoingHttpHeaders;
}

function scopeKey(tokenId: string, { label }: Selection, scope: string): string {
  return JSON.stringify([tokenId, label, scope]);
}

function badScope(): Refusal {
  return invalid(400, "a scope is 1 to 128 letters, digits and . _ ~ -");
}

export class Door {
  readonly #parts: DoorParts;
  readonly #stateless: StatelessDoor;

  constructor(parts: DoorParts) {
    this.#parts = parts;
    this.#stateless = new StatelessDoor(parts);
  }

  /** Takes a message whose body says that its client keeps no session. */
  takeStateless(visit: StatelessVisit, received: Received): void {
    this.#stateless.take(visit, received);
  }

  async handle(visit: Visit): Promise<void> {
    const { request, response } = visit;
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

  async #post(visit: Visit): Promise<void> {
    const { request, response, headers } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    const wrongHead = headProblem(request);
    if (wrongHead !== undefined) return deny(wrongHead);
    const open = sessionIdOf(request) === undefined ? undefined : this.#find(visit);
    if (open === null) return;
    const problem = versionProblem(request, this.#agreed(visit, open));
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
    const selection = this.#parts.hub.select(label ?? undefined);
    if (selection === undefined)
      return deny(refusal(404, rpcCode.invalidRequest, "server_unknown", notOffered(label ?? "")));
    const now = { ...visit, selection };
    if (received.envelope.versionStart > 0) return this.#stateless.take(now, received);
    const scope = scopeOf(request);
    if (scope === null) return deny(badScope());
    if (scope !== undefined) return this.#inScope(now, scope, received);
    await this.initialize(now, received);
  }

  #passAll(visit: Visit, open: Assembly, messages: Received[]): void {
    const { request, response, headers } = visit;
    if (open.session.ended) return refuse(request, response, { ...unknownSession(), headers });
    const batch = serveBatch(messages, overHttp(response, headers), {
      params: (envelope, body) => this.#callParams(visit, envelope, body),
      request: (call, envelope, body) => open.request(call, envelope, body),
      other: (envelope, body) =>
        void (envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body)),
      done: (call) => open.client.done(call),
    });
    response.once("close", () => batch.leave((call) => open.client.abandon(call)));
  }

  #pass(visit: Visit, open: Assembly, { envelope, body }: Received): void {
    const { request, response, headers } = visit;
    if (open.session.ended) return refuse(request, response, { ...unknownSession(), headers });
    if (envelope.kind === "request") {
      const call = new Call(this.#callParams(visit, envelope, body), response, (gone) => open.client.abandon(gone));
      response.once("close", () => open.client.done(call));
      return open.request(call, envelope, body);
    }
    const taken = envelope.kind === "response" ? open.respond(envelope, body) : open.notify(envelope, body);
    if (!taken)
      return refuse(request, response, { status: 503, fault: slowServer(open.session.server ?? "mcp"), headers });
    response.writeHead(202, { "content-length": 0, ...headers });
    response.end();
  }

  #callParams({ headers, caller }: Visit, envelope: Envelope, body: Buffer): CallParams {
    return {
      number: this.#parts.hub.numbers.next(),
      clientId: body.toString("latin1", envelope.idStart, envelope.idEnd),
      clientToken:
        envelope.tokenStart > 0 ? body.toString("latin1", envelope.tokenStart, envelope.tokenEnd) : undefined,
      startsTask: envelope.hasTask,
      headers,
      failStatus: 200,
      startedAt: this.#parts.clock.monotonic(),
      scopes: caller.scopes,
    };
  }

  // ── a client that keeps no session: its scope stands for it ──

  async #inScope(visit: Visit, scope: string, received: Received): Promise<void> {
    const { request, response, headers } = visit;
    const { envelope, body } = received;
    let open: Assembly;
    try {
      open = this.#scoped(visit, scope) ?? this.#openScope(visit, scope, received);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      return refuse(request, response, { ...unavailable(error.message, error.code), headers });
    }
    response.once("close", open.session.lease.hold());
    if (envelope.method !== "initialize") return this.#pass(visit, open, received);
    // It gets no session id, so it goes on to name its scope.
    const call = new Call(this.#callParams(visit, envelope, body), response, () => {});
    try {
      open.answer(call, JSON.stringify(await open.introduce()));
    } catch (thrown) {
      call.fail(downFault(thrown));
    }
  }

  /** The revision that was told to the client: a server that stands alone has chosen it. */
  #agreed(visit: Visit, open: Assembly | undefined): string | undefined {
    const scope = open === undefined ? scopeOf(visit.request) : undefined;
    const named = typeof scope === "string" ? this.#scoped(visit, scope) : open;
    return named?.session.protocolVersion ?? undefined;
  }

  #scoped({ caller, selection }: Visit, scope: string): Assembly | undefined {
    return this.#parts.hub.scoped(scopeKey(caller.id, selection, scope));
  }

  #openScope({ request, caller, selection }: Visit, scope: string, { envelope, body }: Received): Assembly {
    const { hub, sessions } = this.#parts;
    const stranger = { protocolVersion: sessionVersions[0] ?? "", capabilities: {}, clientInfo: { name: scope } };
    const introduction = envelope.method === "initialize" ? readIntroduction(body) : stranger;
    const client = clientOf(introduction);
    const session = sessions.open({ client, server: selection.label, parentId: parentOf(request) }, caller);
    const open = hub.assemble(session, selection, introduction);
    const key = scopeKey(caller.id, selection, scope);
    hub.nameScope(key, open);
    open.memory.begin(key);
    return open;
  }

  // ── the first message of a session ──

  async initialize(visit: Visit, { envelope, body }: Received): Promise<void> {
    const { request, response, selection, headers, caller } = visit;
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
    const open = hub.assemble(session, selection, introduction);
    const params = this.#callParams(visit, envelope, body);
    params.headers = { ...headers, "mcp-session-id": session.id };
    params.failStatus = 502;
    // A client that leaves before it knew the session's id can never come back to it.
    const call = new Call(params, response, () => void session.close("cancelled"));
    response.once("close", session.lease.hold());
    open.client.begin(call);
    response.once("close", () => open.client.done(call));
    try {
      const result = JSON.stringify(await open.introduce());
      open.memory.begin();
      call.answer(answerText(id, result), [], () => {});
    } catch (thrown) {
      call.fail(downFault(thrown));
      void session.close("spawn-failed"); // what cannot be ended is logged by the session set
    }
  }

  // ── GET: the client listens ──

  #get(visit: Visit): void {
    const { request, response, headers, caller } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    if (!acceptsEvents(request)) return deny(invalid(406, "Accept must name text/event-stream"));
    const open = this.#find(visit);
    if (open === null) return;
    const problem = versionProblem(request, this.#agreed(visit, open));
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
    const open = this.#find(visit);
    if (open === null) return;
    await endSession(visit, open.session, this.#parts.clock);
  }

  /** The session of a request; null when it has none and was answered so. */
  #find(visit: Visit): Assembly | null {
    const { request, response, selection, headers, caller } = visit;
    const id = sessionIdOf(request);
    const scope = id === undefined ? scopeOf(request) : undefined;
    const named = typeof scope === "string" ? this.#scoped(visit, scope) : undefined;
    const session = id === undefined ? undefined : this.#parts.sessions.find(id, caller);
    const open = session === undefined ? named : this.#parts.hub.get(session.id);
    if (open !== undefined && open.session.server === selection.label) return open;
    const isNameless = id === undefined && typeof scope !== "string";
    const no = isNameless ? invalid(400, "Mcp-Session-Id is missing") : unknownSession();
    refuse(request, response, { ...no, headers });
    return null;
  }
}
