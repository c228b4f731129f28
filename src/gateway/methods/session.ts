/** `session.*`: clients and what they own. */
import type { SessionView } from "../../protocol/api/session.ts";
import { HoldfastError } from "../../errors.ts";
import type { Session } from "../../sessions/session.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { peerOf, type NamespaceHandlers, type Peer } from "./handlers.ts";

export function sessionHandlers(sessions: SessionSet): NamespaceHandlers<"session"> {
  const held = new HeldSessions();
  return {
    "session.open": (params, caller) => {
      const peer = peerOf(caller);
      return held.hold(sessions.open({ ...params, kind: "ws" }, caller), peer);
    },
    "session.resume": ({ id }, caller) => {
      const session = sessions.find(id, caller);
      if (session === undefined || session.kind !== "ws") {
        const message = `no session ${id} to resume: unknown, or its lease expired; open a new one`;
        throw new HoldfastError("session_unknown", message);
      }
      return held.hold(session, peerOf(caller));
    },
    "session.list": (_, caller) => sessions.list(caller),
    "session.end": async ({ id }, caller) => {
      const { failures } = await sessions.end(id, "session-ended", caller);
      if (failures.length > 0)
        throw new HoldfastError("survivors", failures.map(({ error }) => String(error)).join("; "));
      return null;
    },
  };
}

/** Sessions held by each connection; a held session does not expire. */
export class HeldSessions {
  readonly #byPeer = new WeakMap<Peer, Map<Session, () => void>>();

  /** Holding one twice counts once. A connection that is already gone holds nothing: nothing would ever release it. */
  hold(session: Session, peer: Peer): SessionView {
    const leases = this.#byPeer.get(peer) ?? this.#meet(peer);
    for (const one of leases.keys()) if (one.ended) leases.delete(one);
    if (!leases.has(session) && !peer.gone) leases.set(session, session.lease.hold());
    return session.view();
  }

  #meet(peer: Peer): Map<Session, () => void> {
    const leases = new Map<Session, () => void>();
    this.#byPeer.set(peer, leases);
    peer.onGone(() => {
      for (const leave of leases.values()) leave();
    });
    return leases;
  }
}
