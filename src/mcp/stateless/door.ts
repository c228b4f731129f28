/**
 * `/mcp` and `/mcp/<server>` for clients of revision 2026-07-28, which keep no session: each request says all that must be
 * known of its client. What a server of the session era needs a session for is kept for the client's scope, if it names
 * one, else for all clients of one token that tell the same of themselves.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../../clock.ts";
import { asHoldfastError } from "../../errors.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { Assembly } from "../aggregate/assembly.ts";
import { downFault } from "../aggregate/answers.ts";
import type { McpCaller } from "../aggregate/door.ts";
import type { Hub, Selection } from "../aggregate/hub.ts";
import { clientOf } from "../aggregate/introduction.ts";
import { notOffered } from "../aggregate/seats.ts";
import type { CallParams } from "../call.ts";
import { parentOf, scopeOf, statelessVersion } from "../headers.ts";
import { rpcCode } from "../json-rpc.ts";
import { headProblem, receive, type Received } from "../receive.ts";
import { invalid, refusal, unavailable } from "../refusals.ts";
import { refuse, type Refusal } from "../reply.ts";
import { listen } from "./listen.ts";
import { lower } from "./log-levels.ts";
import { isObject } from "../upstream/words.ts";
import { readMetadata, sessionMeta, type Metadata } from "./metadata.ts";
import { discovery } from "./results.ts";
import { isOurState, Retained } from "./retained.ts";
import { StatelessCall } from "./stateless-call.ts";
import { StatelessSide } from "./side.ts";

/** What is no part of the stateless revision any more: a request for it is answered as any unknown one. */
const removed = new Set(["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]);

export interface StatelessDoorParts {
  hub: Hub;
  sessions: SessionSet;
  clock: Clock;
  messageBytesMax: number;
  /** How long a call waits for its client, who was asked something. */
  questionMs: number;
}

/** One request on its way through the door. */
export interface StatelessVisit {
  request: IncomingMessage;
  response: ServerResponse;
  selection: Selection;
  caller: McpCaller;
  headers: OutgoingHttpHeaders;
}

export class StatelessDoor {
  readonly #parts: StatelessDoorParts;
  readonly #retained = new Retained();

  constructor(parts: StatelessDoorParts) {
    this.#parts = parts;
  }

  async handle(visit: StatelessVisit): Promise<void> {
    const { request, response, headers } = visit;
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers: { ...headers, ...no.headers } });
    if (request.method !== "POST") {
      const message = `revision ${statelessVersion} has no ${request.method}: send each request as a POST`;
      return deny({ ...refusal(405, rpcCode.invalidRequest, "method_unknown", message), headers: { allow: "POST" } });
    }
    const wrong = headProblem(request);
    if (wrong !== undefined) return deny(wrong);
    const received = await receive(request, response, this.#parts.messageBytesMax);
    if (received === "gone") return;
    if ("status" in received) return deny(received);
    this.take(visit, received);
  }

  /** Takes a message that was read already. */
  take(visit: StatelessVisit, { envelope, body }: Received): void {
    const { request, response, headers } = visit;
    if (envelope.kind === "notification") {
      // The revision has none over HTTP; closing the response is what cancels.
      response.writeHead(202, { "content-length": 0, ...headers });
      response.end();
      return;
    }
    const id = envelope.kind === "request" ? { id: body.toString("latin1", envelope.idStart, envelope.idEnd) } : {};
    const deny = (no: Refusal) => refuse(request, response, { ...no, headers, ...id });
    if (envelope.kind === "response") return deny(invalid(400, "a client sends no responses in this revision"));
    const metadata = readMetadata(request, envelope, body);
    if ("status" in metadata) return deny(metadata);
    const { method } = envelope;
    if (removed.has(method)) {
      const message = `${method} is not a method of revision ${statelessVersion}`;
      return deny(refusal(404, rpcCode.methodUnknown, "method_unknown", message));
    }
    try {
      const open = this.#assembly(visit, metadata);
      if ("status" in open) deny(open);
      else this.#serve(visit, open, { envelope, body }, metadata);
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      deny(unavailable(error.message, error.code));
    }
  }

  #serve(visit: StatelessVisit, open: Assembly, { envelope, body }: Received, metadata: Metadata): void {
    const { response, headers } = visit;
    const { method } = envelope;
    const params = this.#callParams(visit, { envelope, body }, metadata);
    if (envelope.hasState && this.#goOn(visit, open, params, { envelope, body })) return;
    const side = open.client as StatelessSide;
    const { clock, questionMs } = this.#parts;
    const given = { open, side, retained: this.#retained, clock, questionMs, metadata, method, body };
    const call = new StatelessCall(params, given);
    const round = call.attach(response);
    if (method === "server/discover") return void this.#discover(open, call);
    if (method === "subscriptions/listen")
      return void listen({ open, side, call, round, response, headers, numbers: this.#parts.hub.numbers, clock }, body);
    if (metadata.logLevel !== undefined) {
      const level = lower(open.logLevel, metadata.logLevel);
      if (level !== open.logLevel) open.setLogLevel(level);
    }
    open.request(call, envelope, body);
  }

  async #discover(open: Assembly, call: StatelessCall): Promise<void> {
    open.client.begin(call);
    try {
      open.answer(call, discovery(await open.introduce()));
    } catch (thrown) {
      call.fail(downFault(thrown));
    }
  }

  /** Goes on with a call that was suspended. False: the state is its server's own. */
  #goOn(visit: StatelessVisit, open: Assembly, params: CallParams, { envelope, body }: Received): boolean {
    const { request, response, headers } = visit;
    const message = JSON.parse(body.toString("utf8")) as {
      params: { requestState: unknown; inputResponses?: unknown };
    };
    const { requestState, inputResponses } = message.params;
    if (!isOurState(requestState)) return false;
    const call = this.#retained.find(requestState);
    if (call === undefined || call.open !== open || !call.isSame(envelope.method, body)) {
      const words = "params.requestState is unknown here or has expired; send the request anew without it";
      refuse(request, response, {
        ...refusal(400, rpcCode.invalidParams, "invalid_params", words),
        headers,
        id: params.clientId,
      });
      return true;
    }
    call.resume(params, response, headers, isObject(inputResponses) ? inputResponses : {});
    return true;
  }

  #callParams({ headers, caller }: StatelessVisit, { envelope, body }: Received, metadata: Metadata): CallParams {
    const number = this.#parts.hub.numbers.next();
    const hasToken = envelope.tokenStart > 0;
    return {
      number,
      clientId: body.toString("latin1", envelope.idStart, envelope.idEnd),
      clientToken: hasToken ? body.toString("latin1", envelope.tokenStart, envelope.tokenEnd) : undefined,
      startsTask: false,
      headers,
      failStatus: 200,
      startedAt: this.#parts.clock.now(),
      scopes: caller.scopes,
      sessionMeta: sessionMeta(metadata, hasToken ? number : undefined),
    };
  }

  // ── whose session stands for the client ──

  #assembly(visit: StatelessVisit, metadata: Metadata): Assembly | Refusal {
    const { request, caller } = visit;
    const { label } = visit.selection;
    // The config may have been read anew while the body came in.
    const selection = this.#parts.hub.select(label ?? undefined);
    if (selection === undefined) return refusal(404, rpcCode.invalidRequest, "server_unknown", notOffered(label ?? ""));
    const scope = scopeOf(request);
    if (scope === null) return invalid(400, "a scope is 1 to 128 letters, digits and . _ ~ -");
    const isCrowd = scope === undefined;
    const { clientInfo } = metadata;
    // A server keeps what it was told of roots: that may be one client's, never that of all who look the same.
    const capabilities = isCrowd ? metadata.crowdCapabilities : metadata.capabilities;
    const text = isCrowd ? metadata.crowdCapabilitiesText : metadata.capabilitiesText;
    const who = scope ?? clientOf({ clientInfo, capabilities, protocolVersion: "" });
    const key = JSON.stringify([statelessVersion, caller.id, label, who, text]);
    const { hub, sessions } = this.#parts;
    const known = hub.scoped(key);
    if (known !== undefined) return known;
    const introduction = { protocolVersion: statelessVersion, capabilities, clientInfo };
    const client = clientOf(introduction);
    const given = { client, server: label, parentId: parentOf(request), tokenName: caller.name };
    const session = sessions.open(given);
    const open = hub.assemble(session, selection, introduction, { isCrowd });
    hub.nameScope(key, open);
    open.memory.begin(key);
    return open;
  }
}
