/** The tokens that are good now, as the keeper tells them: who a token is, what it may do, and which connections it holds. */
import { hash, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import { tokenScopes, type TokenGrant, type TokenScope } from "../keeper/protocol/messages.ts";

const everyScope: ReadonlySet<TokenScope> = new Set(tokenScopes);

/** What its token allows a caller; from the keeper's record alone, never from anything that the caller says. */
export interface Grant {
  readonly id: string;
  readonly name: string;
  readonly scopes: ReadonlySet<TokenScope>;
}

interface KnownGrant extends Grant {
  readonly digest: Buffer;
  readonly expiresAt: number;
  /** Connections that have proven themselves with it. */
  readonly sockets: Set<Socket>;
}

export class Grants {
  readonly #known = new Map<string, KnownGrant>();
  readonly #clock: Clock;
  readonly #onEnded: (socket: Socket) => void;

  /** `onEnded` gets each connection whose token is no longer good, and is to end it at once. */
  constructor(grants: TokenGrant[], clock: Clock, onEnded: (socket: Socket) => void) {
    this.#clock = clock;
    this.#onEnded = onEnded;
    for (const grant of grants) this.#known.set(grant.id, know(grant));
  }

  /** From now on these are good and no other; connections of the others are ended. Returns the ids of the others. */
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

  /**
   * Whose token it is. All digests are compared and each whole: neither the length of a token nor its first letters nor its
   * place in the list show in the time taken.
   */
  find(token: string): Grant | undefined {
    const digest = hash("sha256", token, "buffer");
    let found: KnownGrant | undefined;
    for (const grant of this.#known.values()) if (timingSafeEqual(digest, grant.digest)) found = grant;
    return found !== undefined && this.#isGood(found) ? found : undefined;
  }

  /** Whether a grant that was found earlier is still good. */
  stillGood(grant: Grant): boolean {
    const known = this.#known.get(grant.id);
    return known === grant && this.#isGood(known);
  }

  /** The connection lives by this grant from now on: it ends when the token does. */
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
