/** What was learnt of servers about the revisions that they speak, beyond what is kept of each on disk. */
import type { FrontServer } from "../../protocol/keeper/messages.ts";
import { statelessVersion } from "../wire/headers.ts";
import type { RevisionKind } from "./handshake.ts";
import type { ServerMetadata } from "./catalog.ts";

/** Equal only for a server that is the same in every respect. */
export function keyOf(server: FrontServer): string {
  return `${server.name} ${server.fingerprint}`;
}

export class KnownRevisions {
  /** Servers that end when they are asked for their revision, and those that refuse sessions. */
  readonly #brittle = new Set<string>();
  readonly #stateless = new Set<string>();

  /** It ended when it was asked: it is one of sessions, and will not be asked again. */
  endedWhenAsked(server: FrontServer): void {
    this.#brittle.add(keyOf(server));
  }

  /** It refuses sessions: from now on nobody tries to begin one with it. */
  refusedSessions(server: FrontServer): void {
    this.#stateless.add(keyOf(server));
  }

  isStateless(server: FrontServer): boolean {
    return this.#stateless.size > 0 && this.#stateless.has(keyOf(server));
  }

  of(server: FrontServer, metadata: ServerMetadata | undefined): RevisionKind {
    if (this.#brittle.has(keyOf(server))) return "session";
    if (metadata === undefined) return "unknown";
    return metadata.initialize.protocolVersion === statelessVersion ? "stateless" : "session";
  }

  forget(server: FrontServer): void {
    this.#brittle.delete(keyOf(server));
    this.#stateless.delete(keyOf(server));
  }
}
