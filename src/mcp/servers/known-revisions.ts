/** Facts about the servers' revisions beyond the catalog on disk. */
import type { FrontServer } from "../../protocol/keeper/front-config.ts";
import { statelessVersion } from "../wire/headers.ts";
import type { RevisionKind } from "./handshake.ts";
import type { ServerMetadata } from "./catalog.ts";

/** Equal only for identical servers. */
export function keyOf(server: FrontServer): string {
  return `${server.name} ${server.fingerprint}`;
}

export class KnownRevisions {
  /** Servers that exit on a revision probe, and those that refuse sessions. */
  readonly #brittle = new Set<string>();
  readonly #stateless = new Set<string>();

  /** It exited on the probe: it is session-based, and is never probed again. */
  endedWhenAsked(server: FrontServer): void {
    this.#brittle.add(keyOf(server));
  }

  /** It refuses sessions, so none is begun with it from now on. */
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
