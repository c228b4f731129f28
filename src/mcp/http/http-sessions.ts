/** Finds the session of a streamable HTTP request: by its id, or by the scope of a client without one. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Asker } from "../../sessions/owner.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import type { SessionManager } from "../session/session-manager.ts";
import type { Selection } from "../servers/offered-servers.ts";
import { clientOf, readIntroduction } from "../session/introduction.ts";
import { parentOf, scopeOf, sessionIdOf, sessionVersions } from "../wire/headers.ts";
import type { Received } from "./receive.ts";
import { invalid, unknownSession, refuse } from "./reply.ts";

/** One HTTP request in progress. */
export interface HttpExchange {
  request: IncomingMessage;
  response: ServerResponse;
  selection: Selection;
  caller: Asker;
  /** Headers of every answer, e.g. for CORS. */
  headers: OutgoingHttpHeaders;
}

function scopeKey(tokenId: string, { label }: Selection, scope: string): string {
  return JSON.stringify([tokenId, label, scope]);
}

export class HttpSessions {
  readonly #manager: SessionManager;
  readonly #sessions: SessionSet;

  constructor(manager: SessionManager, sessions: SessionSet) {
    this.#manager = manager;
    this.#sessions = sessions;
  }

  /** The session of a request; null when it has none and an error was sent. */
  find(exchange: HttpExchange): AggregateSession | null {
    const { request, response, selection, headers, caller } = exchange;
    const id = sessionIdOf(request);
    const scope = id === undefined ? scopeOf(request) : undefined;
    const named = typeof scope === "string" ? this.#scoped(exchange, scope) : undefined;
    const session = id === undefined ? undefined : this.#sessions.find(id, caller);
    const open = session === undefined ? named : this.#manager.get(session.id);
    if (open !== undefined && open.session.server === selection.label) return open;
    const isNameless = id === undefined && typeof scope !== "string";
    const no = isNameless ? invalid(400, "Mcp-Session-Id is missing") : unknownSession();
    refuse(request, response, { ...no, headers });
    return null;
  }

  /** The revision that was announced to the client; a single pass-through server chose it. */
  agreed(exchange: HttpExchange, open: AggregateSession | undefined): string | undefined {
    const scope = open === undefined ? scopeOf(exchange.request) : undefined;
    const named = typeof scope === "string" ? this.#scoped(exchange, scope) : open;
    return named?.session.protocolVersion ?? undefined;
  }

  /** The session of a scope, opened by its first message. Throws as `SessionSet.open`. */
  inScope(exchange: HttpExchange, scope: string, { envelope, body }: Received): AggregateSession {
    const { request, caller, selection } = exchange;
    const known = this.#scoped(exchange, scope);
    if (known !== undefined) return known;
    const stranger = { protocolVersion: sessionVersions[0] ?? "", capabilities: {}, clientInfo: { name: scope } };
    const introduction = envelope.method === "initialize" ? readIntroduction(body) : stranger;
    const client = clientOf(introduction);
    const session = this.#sessions.open({ client, server: selection.label, parentId: parentOf(request) }, caller);
    const open = this.#manager.create(session, selection, introduction);
    const key = scopeKey(caller.id, selection, scope);
    this.#manager.nameScope(key, open);
    open.handoff.begin(key);
    return open;
  }

  #scoped({ caller, selection }: HttpExchange, scope: string): AggregateSession | undefined {
    return this.#manager.scoped(scopeKey(caller.id, selection, scope));
  }
}
