/**
 * One stdio client of the stateless revision: lines over its own connection, with its own unshared session for the life
 * of that connection. Requests carry their metadata in `_meta`; there are no headers.
 */
import { asHoldfastError } from "../../errors.ts";
import type { Asker } from "../../sessions/owner.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import type { SessionManager } from "../session/session-manager.ts";
import type { Selection } from "../servers/offered-servers.ts";
import { clientOf } from "../session/introduction.ts";
import { LineReply, type LineStream } from "./line-reply.ts";
import { notOffered } from "../session/bindings.ts";
import type { Envelope } from "../wire/envelope.ts";
import { allVersions, statelessVersion } from "../wire/headers.ts";
import { errorBody, rpcCode, type RpcFault } from "../wire/json-rpc.ts";
import { invalid, refusal, unavailable, type Refusal } from "../http/reply.ts";
import type { Metadata } from "../stateless/request-metadata.ts";
import { removedProblem, type StatelessService } from "../stateless/service.ts";
import type { StatelessClient } from "../stateless/stateless-client.ts";

/** Distinct capability sets that one connection may declare; each has its own session and servers. */
const profilesMax = 8;
const newline = Buffer.from("\n");

/** The origin of a connection and the servers it wants. */
export interface StdioOrigin {
  selection: Selection;
  parentId: string | null;
  caller: Asker;
}

export interface LinesParts {
  manager: SessionManager;
  sessions: SessionSet;
  service: StatelessService;
  stream: LineStream;
  origin: StdioOrigin;
}

/** Whether a first request shows a stateless client. */
export function saysStateless({ kind, method, versionStart }: Envelope): boolean {
  return kind === "request" && (versionStart > 0 || method === "server/discover");
}

export class StatelessLines {
  readonly #parts: LinesParts;
  /** By the capabilities that the client declared. */
  readonly #profiles = new Map<string, AggregateSession>();
  /** Of open requests, by the client's ids. */
  readonly #replies = new Map<string, LineReply>();
  #isChosen = false;
  #onQuiet: () => void = () => {};

  constructor(parts: LinesParts) {
    this.#parts = parts;
  }

  /** False: its client has only discovered so far, and this may be the first request of a session. */
  wants({ kind }: Envelope): boolean {
    return this.#isChosen || kind === "notification";
  }

  take(envelope: Envelope, line: Buffer): void {
    if (envelope.kind === "notification") return this.#notified(envelope, line);
    if (envelope.kind === "response") return; // the server asks nothing in this revision
    const id = line.toString("latin1", envelope.idStart, envelope.idEnd);
    const deny = ({ fault }: Refusal) => this.#refuse(id, fault);
    if (this.#isChosen && envelope.method === "initialize" && envelope.versionStart === 0) return deny(noSession());
    const metadata = this.#parts.service.metadata.readLine(envelope, line);
    if ("status" in metadata) return deny(metadata);
    if (!this.#isChosen && envelope.method !== "server/discover") this.#choose(metadata);
    const none = removedProblem(envelope.method);
    if (none !== undefined) return deny(none);
    try {
      const open = this.#profile(metadata);
      if ("status" in open) return deny(open);
      const { service, origin } = this.#parts;
      const given = { envelope, body: line, open, metadata, scopes: origin.caller.scopes };
      service.serve(given, ({ clientId }) => this.#reply(clientId), deny);
    } catch (thrown) {
      const { message, code } = asHoldfastError(thrown);
      deny(unavailable(message, code));
      this.#parts.stream.end();
    }
  }

  /** Runs `action` once every request is answered; listeners do not count. */
  whenQuiet(action: () => void): void {
    this.#onQuiet = action;
    this.#lookAround();
  }

  #lookAround(): void {
    if ([...this.#replies.values()].every(({ isStream }) => isStream)) this.#onQuiet();
  }

  /** The client is gone, or turned out to speak another revision. */
  leave(): void {
    for (const [key, open] of this.#profiles) this.#close(key, open);
  }

  #close(key: string, { session }: AggregateSession): void {
    this.#profiles.delete(key);
    void session.close("session-ended"); // the session set logs what cannot be ended
  }

  /** Lines cannot cancel by closing a response, so a notification does; every other one is unsolicited. */
  #notified({ method, requestStart, requestEnd }: Envelope, line: Buffer): void {
    if (method !== "notifications/cancelled" || requestStart === 0) return;
    this.#replies.get(line.toString("latin1", requestStart, requestEnd))?.leave();
  }

  /** Discards the session of mere discovery if the client now declares other capabilities. */
  #choose({ capabilitiesText }: Metadata): void {
    this.#isChosen = true;
    for (const [key, open] of this.#profiles)
      if (key !== capabilitiesText && open.client.callsInFlight === 0) this.#close(key, open);
  }

  #reply(clientId: string): LineReply {
    const reply = new LineReply(this.#parts.stream, {
      over: () => {
        if (this.#replies.get(clientId) === reply) this.#replies.delete(clientId);
        this.#lookAround();
      },
      // A listener must have begun before it can be told its end.
      streams: () => queueMicrotask(() => this.#lookAround()),
    });
    this.#replies.set(clientId, reply);
    return reply;
  }

  #refuse(id: string, fault: RpcFault): void {
    this.#parts.stream.send(Buffer.concat([errorBody(id, fault), newline]), () => {});
  }

  #profile(metadata: Metadata): AggregateSession | Refusal {
    const { capabilities, capabilitiesText: key, clientInfo } = metadata;
    const known = this.#profiles.get(key);
    if (known !== undefined) return known;
    if (this.#profiles.size >= profilesMax)
      return invalid(400, `one connection tells of at most ${profilesMax} kinds of client`);
    const { manager, sessions, origin, stream } = this.#parts;
    const { label } = origin.selection;
    // The config may have been reloaded since the request arrived.
    const selection = manager.servers.select(label ?? undefined);
    if (selection === undefined) return refusal(404, rpcCode.invalidRequest, "server_unknown", notOffered(label ?? ""));
    const introduction = { protocolVersion: statelessVersion, capabilities, clientInfo };
    const { parentId, caller } = origin;
    const given = { kind: "stdio" as const, client: clientOf(introduction), server: label, parentId };
    const session = sessions.open(given, caller);
    const open = manager.create(session, selection, introduction);
    session.lease.hold();
    this.#profiles.set(key, open);
    (open.client as StatelessClient).onHangUp = () => {
      // The session ended on this side, so the client learns of it by the end of its connection.
      if (this.#profiles.get(key) === open) stream.end();
    };
    return open;
  }
}

function noSession(): Refusal {
  const message = `this connection speaks revision ${statelessVersion}, which has no initialize; served on a connection of its own: ${allVersions.join(", ")}`;
  return invalid(400, message);
}
