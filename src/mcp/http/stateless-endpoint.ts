/**
 * `/mcp` and `/mcp/<server>` for clients of revision 2026-07-28, which keep no session: each request carries all
 * metadata of its client. State that session-based servers need is kept for the client's scope if it names one,
 * otherwise for all clients of one token with the same metadata.
 */
import { asHoldfastError } from "../../errors.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import { clientOf } from "../session/introduction.ts";
import { notOffered } from "../session/bindings.ts";
import type { BodyReader } from "./body.ts";
import { HttpReply } from "./http-reply.ts";
import type { HttpExchange } from "./http-sessions.ts";
import { acceptsEvents, parentOf, scopeOf, statelessVersion } from "../wire/headers.ts";
import { rpcCode } from "../wire/json-rpc.ts";
import { headProblem, receive, type Received } from "./receive.ts";
import { invalid, refusal, unavailable, refuse, type Refusal } from "./reply.ts";
import type { Metadata } from "../stateless/request-metadata.ts";
import { removedProblem, StatelessService, type ServiceParts } from "../stateless/service.ts";

export interface StatelessEndpointParts extends ServiceParts {
  sessions: SessionSet;
  bodies: BodyReader;
  messageBytesMax: number;
}

export class StatelessEndpoint {
  readonly #parts: StatelessEndpointParts;
  readonly #service: StatelessService;

  constructor(parts: StatelessEndpointParts) {
    this.#parts = parts;
    this.#service = new StatelessService(parts);
  }

  async handle(exchange: HttpExchange): Promise<void> {
    const { request, response, headers } = exchange;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers: { ...headers, ...no.headers } });
    if (request.method !== "POST") {
      const message = `revision ${statelessVersion} has no ${request.method}: send each request as a POST`;
      return deny({ ...refusal(405, rpcCode.invalidRequest, "method_unknown", message), headers: { allow: "POST" } });
    }
    const wrong = headProblem(request);
    if (wrong !== undefined) return deny(wrong);
    const { bodies, messageBytesMax } = this.#parts;
    const received = await receive(bodies, request, response, messageBytesMax);
    if (received === "gone") return;
    if ("status" in received) return deny(received);
    this.take(exchange, received);
  }

  /** Takes a message that was already read. */
  take(exchange: HttpExchange, received: Received): void {
    const { request, response, headers, caller } = exchange;
    const { envelope, body } = received;
    if (envelope.kind === "notification") {
      // The revision has no notifications over HTTP; closing the response cancels a request.
      response.writeHead(202, { "content-length": 0, ...headers });
      response.end();
      return;
    }
    const id = envelope.kind === "request" ? { id: body.toString("latin1", envelope.idStart, envelope.idEnd) } : {};
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers, ...id });
    if (envelope.kind === "response") return deny(invalid(400, "a client sends no responses in this revision"));
    if (envelope.method === "subscriptions/listen" && !acceptsEvents(request))
      return deny(invalid(406, "Accept must name text/event-stream: what is listened to is a stream"));
    const metadata = this.#service.metadata.read(request, envelope, body);
    if ("status" in metadata) return deny(metadata);
    const none = removedProblem(envelope.method);
    if (none !== undefined) return deny(none);
    try {
      const open = this.#aggregate(exchange, metadata);
      if ("status" in open) return deny(open);
      const given = { ...received, open, metadata, sent: request.headers, scopes: caller.scopes };
      this.#service.serve(given, () => new HttpReply(response, headers), deny);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      deny(unavailable(error.message, error.code));
    }
  }

  // ── the session that serves the client ──

  #aggregate(exchange: HttpExchange, metadata: Metadata): AggregateSession | Refusal {
    const { request, caller } = exchange;
    const { label } = exchange.selection;
    // The config may have been reloaded while the body arrived.
    const selection = this.#parts.manager.servers.select(label ?? undefined);
    if (selection === undefined) return refusal(404, rpcCode.invalidRequest, "server_unknown", notOffered(label ?? ""));
    const scope = scopeOf(request);
    if (scope === null) return invalid(400, "a scope is 1 to 128 letters, digits and . _ ~ -");
    const isAnonymous = scope === undefined;
    const { clientInfo } = metadata;
    // Servers remember roots, which belong to one client and not to all with the same metadata.
    const capabilities = isAnonymous ? metadata.anonymousCapabilities : metadata.capabilities;
    const text = isAnonymous ? metadata.anonymousCapabilitiesText : metadata.capabilitiesText;
    const who = scope ?? clientOf({ clientInfo, capabilities, protocolVersion: "" });
    const key = JSON.stringify([statelessVersion, caller.id, label, who, text]);
    const { manager, sessions } = this.#parts;
    const known = manager.scoped(key);
    if (known !== undefined) return known;
    const introduction = { protocolVersion: statelessVersion, capabilities, clientInfo };
    const client = clientOf(introduction);
    const session = sessions.open({ client, server: label, parentId: parentOf(request) }, caller);
    const open = manager.create(session, selection, introduction, { isAnonymous });
    manager.nameScope(key, open);
    open.handoff.begin(key);
    return open;
  }
}
