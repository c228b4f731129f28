/** Which session a request of streamable HTTP belongs to: by its id, or by the scope that stands for a client without one. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Asker } from "../sessions/owner.ts";
import type { SessionSet } from "../sessions/set.ts";
import type { Assembly } from "./aggregate/assembly.ts";
import type { Hub } from "./aggregate/hub.ts";
import type { Selection } from "./aggregate/offered-servers.ts";
import { clientOf, readIntroduction } from "./aggregate/introduction.ts";
import { parentOf, scopeOf, sessionIdOf, sessionVersions } from "./headers.ts";
import type { Received } from "./receive.ts";
import { invalid, unknownSession, refuse } from "./reply.ts";

/** One request on its way through the endpoint. */
export interface Visit {
  request: IncomingMessage;
  response: ServerResponse;
  selection: Selection;
  caller: Asker;
  /** For every answer, e.g. what a browser needs to see. */
  headers: OutgoingHttpHeaders;
}

function scopeKey(tokenId: string, { label }: Selection, scope: string): string {
  return JSON.stringify([tokenId, label, scope]);
}

export class HttpSessions {
  readonly #hub: Hub;
  readonly #sessions: SessionSet;

  constructor(hub: Hub, sessions: SessionSet) {
    this.#hub = hub;
    this.#sessions = sessions;
  }

  /** The session of a request; null when it has none and was answered so. */
  find(visit: Visit): Assembly | null {
    const { request, response, selection, headers, caller } = visit;
    const id = sessionIdOf(request);
    const scope = id === undefined ? scopeOf(request) : undefined;
    const named = typeof scope === "string" ? this.#scoped(visit, scope) : undefined;
    const session = id === undefined ? undefined : this.#sessions.find(id, caller);
    const open = session === undefined ? named : this.#hub.get(session.id);
    if (open !== undefined && open.session.server === selection.label) return open;
    const isNameless = id === undefined && typeof scope !== "string";
    const no = isNameless ? invalid(400, "Mcp-Session-Id is missing") : unknownSession();
    refuse(request, response, { ...no, headers });
    return null;
  }

  /** The revision that was told to the client: a server that stands alone has chosen it. */
  agreed(visit: Visit, open: Assembly | undefined): string | undefined {
    const scope = open === undefined ? scopeOf(visit.request) : undefined;
    const named = typeof scope === "string" ? this.#scoped(visit, scope) : open;
    return named?.session.protocolVersion ?? undefined;
  }

  /** The session that stands for a scope; opened by the first message under it. Throws as `SessionSet.open`. */
  inScope(visit: Visit, scope: string, { envelope, body }: Received): Assembly {
    const { request, caller, selection } = visit;
    const known = this.#scoped(visit, scope);
    if (known !== undefined) return known;
    const stranger = { protocolVersion: sessionVersions[0] ?? "", capabilities: {}, clientInfo: { name: scope } };
    const introduction = envelope.method === "initialize" ? readIntroduction(body) : stranger;
    const client = clientOf(introduction);
    const session = this.#sessions.open({ client, server: selection.label, parentId: parentOf(request) }, caller);
    const open = this.#hub.assemble(session, selection, introduction);
    const key = scopeKey(caller.id, selection, scope);
    this.#hub.nameScope(key, open);
    open.memory.begin(key);
    return open;
  }

  #scoped({ caller, selection }: Visit, scope: string): Assembly | undefined {
    return this.#hub.scoped(scopeKey(caller.id, selection, scope));
  }
}
