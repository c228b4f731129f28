/** What a node's connection must be able to do for those who speak over it; the gateway's sockets do it, and a test's can. */

/** Why this side ends it; names of `CloseReason`. */
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
  /** Of the other side, normalised as for limits. */
  readonly address: string;
  /** Time by which the other side may be judged: it stands still while our own loop is stuck. In milliseconds. */
  readonly loopNow: number;
  send(text: string): void;
  /** Resolves when so little waits to be sent that more may be, or the wire is gone. */
  ready(): Promise<void>;
  /** It proved who it is: from now on it has time, and room. */
  proven(): void;
  /** Says why in a close frame; what does not go is reset. `protocol-error` and `no-heartbeat` reset at once. */
  end(reason: WireEnd, message: string): void;
}
