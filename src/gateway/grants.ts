/** Valid tokens as the keeper reports them: identity, scopes, and their connections. */
import { hash, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import { tokenScopes, type TokenGrant, type TokenScope } from "../protocol/keeper/front-config.ts";
import type { Clock } from "../clock.ts";

const everyScope: ReadonlySet<TokenScope> = new Set(tokenScopes);

/** A caller's rights, from the keeper's record alone. */
export interface Grant {
  readonly id: string;
  readonly name: string;
  readonly scopes: ReadonlySet<TokenScope>;
}

interface KnownGrant extends Grant {
  readonly digest: Buffer;
  readonly expiresAt: number;
  /** Connections authenticated with it. */
  readonly sockets: Set<Socket>;
}

export class Grants {
  readonly #known = new Map<string, KnownGrant>();
  readonly #clock: Clock;
  readonly #onEnded: (socket: Socket) => void;

  /** `onEnded` must end each connection whose token became invalid. */
  constructor(grants: TokenGrant[], clock: Clock, onEnded: (socket: Socket) => void) {
    this.#clock = clock;
    this.#onEnded = onEnded;
    for (const grant of grants) this.#known.set(grant.id, know(grant));
  }

  /** Replaces the valid tokens, ends connections of all others and returns the ids of these. */
  replace(grants: TokenGrant[]): Set<string> {
    const over = new Set<string>();
    const ids = new Set(grants.map(({ id }) => id));
    for (const grant of grants) if (!this.#known.has(grant.id)) this.#known.set(grant.id, know(grant));
    for (const [id, { sockets }] of this.#known) {
      if (ids.has(id)) continue;
      this.#known.delete(id);
      over.add(id);
      for (const socket of sockets) this.#onEnded(socket);
    }
    return over;
  }

  /** Finds a token's grant. All digests are compared in full, so timing reveals neither token nor position. */
  find(token: string): Grant | undefined {
    const digest = hash("sha256", token, "buffer");
    let found: KnownGrant | undefined;
    for (const grant of this.#known.values()) if (timingSafeEqual(digest, grant.digest)) found = grant;
    return found !== undefined && this.#isGood(found) ? found : undefined;
  }

  /** Whether a grant is still valid. */
  stillGood(grant: Grant): boolean {
    const known = this.#known.get(grant.id);
    return known === grant && this.#isGood(known);
  }

  /** Ties the connection to this grant: they end together. */
  hold(grant: Grant, socket: Socket): void {
    const sockets = this.#known.get(grant.id)?.sockets;
    if (sockets === undefined || sockets.has(socket)) return;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  }

  #isGood({ expiresAt }: KnownGrant): boolean {
    return expiresAt === Number.POSITIVE_INFINITY || this.#clock.now() < expiresAt;
  }
}

function know({ id, name, digest, scopes, expiresAt }: TokenGrant): KnownGrant {
  const allowed = scopes.includes("admin") ? everyScope : new Set(scopes);
  return {
    id,
    name,
    scopes: allowed,
    digest: Buffer.from(digest, "hex"),
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    sockets: new Set(),
  };
}
