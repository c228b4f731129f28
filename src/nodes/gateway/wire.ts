/** What a node's connection must provide; implemented by the gateway's sockets and by tests. */

/** Why this side ends it: names of `CloseReason`. */
export type WireEnd =
  | "unauthorized"
  | "protocol-error"
  | "auth-timeout"
  | "no-heartbeat"
  | "crowded"
  | "replaced"
  | "revoked"
  | "shutdown";

export interface NodeWire {
  /** Of the peer, normalised as for limits. */
  readonly address: string;
  /** Time for judging the peer, in milliseconds: it stops while our own loop is blocked. */
  readonly loopNow: number;
  send(text: string): void;
  /** Resolves when the send buffer has room, or the wire is gone. */
  ready(): Promise<void>;
  /** Its identity is proven: lifts the limits on unproven connections. */
  proven(): void;
  /** Gives the reason in a close frame, and resets after a delay. `protocol-error` and `no-heartbeat` reset at once. */
  end(reason: WireEnd, message: string): void;
}
