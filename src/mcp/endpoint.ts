/** `/mcp/<server>`: streamable HTTP of the session era. Who may call at all has been decided before this is reached. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { KeeperLink, ServersNews } from "../protocol/keeper/link.ts";
import type { FrontConfig, HeldRun } from "../protocol/keeper/messages.ts";
import type { Log } from "../log.ts";
import type { Asker } from "../sessions/owner.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionSet } from "../sessions/set.ts";
import type { Door } from "./aggregate/door.ts";
import type { Hub } from "./aggregate/hub.ts";
import { refusesSessions } from "./stateless/results.ts";
import { clientOf, readIntroduction } from "./aggregate/introduction.ts";
import { adoptSessions } from "./adoption.ts";
import { batchVersion } from "./batch.ts";
import { Call, type CallParams } from "./call.ts";
import type { Envelope } from "./envelope.ts";
import { EventStream } from "./event-stream.ts";
import { acceptsEvents, parentOf, scopeOf, sessionIdOf, versionProblem } from "./headers.ts";
import { endSession } from "./end-session.ts";
import { rpcCode } from "./json-rpc.ts";
import { relayBatch, type BatchParams } from "./joined-batch.ts";
import { McpSession } from "./mcp-session.ts";
import type { StartGate } from "./pool/start-gate.ts";
import { Pulse } from "./pulse.ts";
import { Relay } from "./relay.ts";
import type { RunBlob } from "./run-blob.ts";
import { namesStateless } from "./stateless/metadata.ts";
import { headProblem, receiveAny } from "./receive.ts";
import { invalid, refusal, slowServer, unavailable, unknownSession } from "./refusals.ts";
import { refuse, type Refusal } from "./reply.ts";

type Server = FrontConfig["servers"][number];

export interface EndpointParts {
  link: KeeperLink;
  hub: Hub;
  door: Door;
  gate: StartGate;
  sessions: SessionSet;
  clock: Clock;
  log: Log;
}

/** One request on its way through the endpoint. */
interface Visit {
  request: IncomingMessage;
  response: ServerResponse;
  server: Server;
  caller: Asker;
  /** For every answer, e.g. what a browser needs to see. */
  headers: OutgoingHttpHeaders;
}

export class McpEndpoint {
  readonly #parts: EndpointParts;
  readonly #open = new Map<string, McpSession>();
  readonly #pulse: Pulse;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    this.#pulse = new Pulse(parts.clock);
  }

  /** `name` undefined: `/mcp`, all servers as one. */
  async handle(
    name: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    headers: OutgoingHttpHeaders,
    caller: Asker,
  ): Promise<void> {
    const { hub, door } = this.#parts;
    // What could not be had may be there by now: whoever begins looks again.
    if (sessionIdOf(request) === undefined) await hub.recheck(name);
    const server = name === undefined ? undefined : hub.server(name);
    const selection = server !== undefined && this.#isJoined(request, server) ? undefined : hub.select(name);
    if (selection !== undefined) return door.handle({ request, response, selection, headers, caller });
    if (server === undefined || hub.select(name) === undefined) {
      const { code, message } = hub.whyNot(name ?? "");
      const no =
        code === "server_down" ? unavailable(message, code) : refusal(404, rpcCode.invalidRequest, code, message);
      return refuse(request, response, { ...no, headers });
    }
    const visit = { request, response, server, headers, caller };
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

  /**
   * Whether the request is for a session that is joined to one process, or may begin one. A session stays what it was when it
   * began, whatever has been learnt of its server since.
   */
  #isJoined(request: IncomingMessage, server: Server): boolean {
    const { hub } = this.#parts;
    if (namesStateless(request)) return false;
    const id = sessionIdOf(request) ?? "";
    if (this.#open.has(id)) return true;
    return scopeOf(request) === undefined && hub.get(id) === undefined && !hub.manages(server);
  }

  /** Gives the sessions of the front before their servers back; to be awaited before anybody calls. */
  adopt(): Promise<void> {
    const resume = (session: Session, held: HeldRun, blob: RunBlob) => {
      const server = this.#parts.hub.server(held.run.server ?? "");
      if (server === undefined || this.#parts.hub.select(server.name) === undefined)
        throw new HoldfastError("server_unknown", "its server is not offered");
      return this.#put(session, server).resume(held, blob);
    };
    return adoptSessions({ ...this.#parts, resume });
  }

  /** The config was read anew. Resolves when what it does not offer any more is gone. */
  async reload({ servers, change }: ServersNews): Promise<void> {
    const { hub } = this.#parts;
    const assembled = hub.reload(servers, new Set(change.changed));
    const joined = [...this.#open.values()]
      .filter(({ server }) => hub.server(server.name) !== server)
      .map((open) => open.end(hub.whyEnded(open.server.name), "config-changed"));
    await Promise.all([assembled, ...joined]);
  }

  /** The gateway stops: clients that only listen are let go. `isLast`: no other front follows. */
  closeStreams(isLast: boolean): void {
    for (const { relay } of this.#open.values()) relay.hangUp();
    this.#parts.hub.closeStreams(isLast);
  }

  /** The gateway stops and cannot wait: every call in flight is answered with an error. */
  failAll(message: string): void {
    for (const { relay } of this.#open.values())
      relay.close({ code: rpcCode.unavailable, message, reason: "gateway_busy" });
    this.#parts.hub.failAll({ code: rpcCode.unavailable, message, reason: "gateway_busy" });
  }

  // ── POST: one message ──

  async #post(visit: Visit): Promise<void> {
    const { request, response, headers } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    const wrong = headProblem(request);
    if (wrong !== undefined) return deny(wrong);
    const open = sessionIdOf(request) === undefined ? undefined : this.#find(visit);
    if (open === null) return;
    const problem = versionProblem(request, open?.negotiated);
    if (problem !== undefined) return deny(invalid(400, problem));
    // The session is present from here until the response is done, also while a slow body comes in.
    const leave = open?.session.lease.hold() ?? (() => {});
    response.once("close", leave);
    const { messageBytesMax } = this.#parts.link.hello.config;
    const received = await receiveAny(request, response, messageBytesMax, open?.negotiated === batchVersion);
    if (received === "gone") return;
    if ("fault" in received) return deny(received);
    const params: BatchParams = (relay, each, text) => this.#callParams(relay, each, text, headers);
    if ("batch" in received) return relayBatch(visit, open, received.batch, params);
    const { envelope, body } = received;
    const { hub } = this.#parts;
    // The config may have been read anew while the body came in.
    if (open === undefined && hub.server(visit.server.name) !== visit.server)
      return deny(refusal(404, rpcCode.invalidRequest, "server_unknown", hub.whyEnded(visit.server.name)));
    if (open === undefined && envelope.versionStart > 0) {
      const selection = hub.select(visit.server.name);
      if (selection !== undefined) return this.#parts.door.takeStateless({ ...visit, selection }, received);
    }
    if (open === undefined) return this.#initialize(visit, envelope, body);
    this.#relay(visit, open, envelope, body);
  }

  #relay({ request, response, headers }: Visit, open: McpSession, envelope: Envelope, body: Buffer): void {
    const { relay, session } = open;
    const id = envelope.kind === "request" ? { id: body.toString("latin1", envelope.idStart, envelope.idEnd) } : {};
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers, ...id });
    if (session.ended) return deny(unknownSession());
    if (envelope.method === "initialize") return deny(invalid(400, "this session is initialized already"));
    if (envelope.kind === "request") {
      const call = new Call(this.#callParams(relay, envelope, body, headers), response, (gone) => relay.abandon(gone));
      if (!relay.request(call, envelope, body)) call.fail(slowServer(open.server.name), 503);
      return;
    }
    const taken = envelope.kind === "response" ? relay.respond(envelope, body) : relay.notify(envelope, body);
    if (!taken) return deny({ status: 503, fault: slowServer(open.server.name) });
    response.writeHead(202, { "content-length": 0, ...headers });
    response.end();
  }

  #callParams(relay: Relay, envelope: Envelope, body: Buffer, headers: OutgoingHttpHeaders): CallParams {
    return {
      number: relay.nextNumber(),
      clientId: body.toString("latin1", envelope.idStart, envelope.idEnd),
      clientToken:
        envelope.tokenStart > 0 ? body.toString("latin1", envelope.tokenStart, envelope.tokenEnd) : undefined,
      startsTask: envelope.hasTask,
      headers,
      failStatus: 200,
      startedAt: this.#parts.clock.monotonic(),
    };
  }

  // ── the first message of a session ──

  async #initialize(visit: Visit, envelope: Envelope, body: Buffer): Promise<void> {
    const { request, response, server, headers, caller } = visit;
    if (envelope.kind !== "request" || envelope.method !== "initialize") {
      const message = "Mcp-Session-Id is missing; a session begins with an initialize request";
      return refuse(request, response, { ...invalid(400, message), headers });
    }
    const clientId = body.toString("latin1", envelope.idStart, envelope.idEnd);
    let session;
    try {
      const given = { client: clientOf(readIntroduction(body)), server: server.name, parentId: parentOf(request) };
      session = this.#parts.sessions.open(given, caller);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      return refuse(request, response, { ...unavailable(error.message, error.code), id: clientId, headers });
    }
    const open = this.#put(session, server);
    const params = this.#callParams(open.relay, envelope, body, { ...headers, "mcp-session-id": session.id });
    params.failStatus = 502;
    params.onAnswer = (line, isError) => {
      // A server that refuses the client leaves no session behind, so its id is not given out.
      if (isError) delete params.headers["mcp-session-id"];
      open.hearInitialized(line, isError);
      const selection = isError && refusesSessions(line) ? this.#parts.hub.select(server.name) : undefined;
      if (selection === undefined) return false;
      // It knows no sessions, so it cannot be joined; with a translator in between it can be served.
      call.letGo();
      this.#parts.hub.starter.refusedSessions(server);
      void this.#parts.door.initialize({ ...visit, selection }, { envelope, body }); // answers in every case
      return true;
    };
    // A client that leaves before it knew the session's id can never come back to it.
    const call: Call = new Call(params, response, () => void session.close("cancelled"));
    response.once("close", session.lease.hold());
    await open.begin(call, envelope, body);
  }

  #put(session: Session, server: Server): McpSession {
    const { link, clock, log, gate, hub } = this.#parts;
    const { name, requestTimeoutMs } = server;
    const { frontEpoch, config } = link.hello;
    const told = { server: name, frontEpoch, requestTimeoutMs, messageBytesMax: config.messageBytesMax, clock, log };
    const relay = new Relay({ ...told, onToken: () => open.leaveBlob() });
    const parts = { server, session, relay, link, clock, log, gate, breaker: hub.starter.breaker(server) };
    const open = new McpSession({ ...parts, pulse: this.#pulse });
    this.#open.set(session.id, open);
    session.onEnd(() => this.#open.delete(session.id));
    return open;
  }

  // ── GET: the client listens ──

  #get(visit: Visit): void {
    const { request, response, headers, caller } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers });
    if (!acceptsEvents(request)) return deny(invalid(406, "Accept must name text/event-stream"));
    const open = this.#find(visit);
    if (open === null) return;
    const problem = versionProblem(request, open.negotiated);
    if (problem !== undefined) return deny(invalid(400, problem));
    // An admin who looks on takes nothing from the client whose session it is.
    if (open.relay.streaming && open.session.tokenId !== caller.id)
      return deny(invalid(409, "this session's client has its stream open already"));
    response.once("close", open.session.lease.hold());
    const stream = new EventStream(response, headers);
    stream.flush();
    open.relay.listen(stream);
  }

  // ── DELETE: the client ends its session ──

  async #delete(visit: Visit): Promise<void> {
    const open = this.#find(visit);
    if (open === null) return;
    await endSession(visit, open.session, this.#parts.clock);
  }

  /** The session of a request; null when it has none and was answered so. */
  #find({ request, response, server, headers, caller }: Visit): McpSession | null {
    const id = sessionIdOf(request);
    const session = id === undefined ? undefined : this.#parts.sessions.find(id, caller);
    const open = this.#open.get(session?.id ?? "");
    if (open !== undefined && open.session.server === server.name) return open;
    const no = id === undefined ? invalid(400, "Mcp-Session-Id is missing") : unknownSession();
    refuse(request, response, { ...no, headers });
    return null;
  }
}
