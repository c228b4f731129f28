/**
 * The handoff state of an aggregate session, stored in the session's row: client, roots, held pooled servers,
 * subscriptions. The session's own servers are found by their runs.
 */
import type { Session } from "../../sessions/session.ts";
import type { Introduction } from "../servers/handshake.ts";

/** A session with a larger state ends with its front, in characters. */
const handoffCharsMax = 256 * 1024;
/** Raised when the format changes; other formats are ignored. */
const form = 2;

export interface HandoffState {
  /** Undefined where the client introduced itself to its server. */
  introduction?: Introduction | undefined;
  isPassThrough: boolean;
  /** For a stateless client with a scope. */
  scopeKey?: string | undefined;
  /** Undefined: the client must be asked. */
  roots?: { now?: unknown } | undefined;
  holds: { server: string; roots?: unknown }[];
  subscriptions: [uri: string, server: string][];
  logLevel?: unknown;
  /** Each request may be another client's. */
  isAnonymous?: boolean | undefined;
}

/** Undefined: missing, or unreadable for this front. */
export function readHandoff(text: string | null): HandoffState | undefined {
  try {
    const state = JSON.parse(text ?? "{}") as HandoffState & { form?: number };
    return state.form === form ? state : undefined;
  } catch {
    return undefined; // foreign state: only this session ends
  }
}

export class SessionHandoff {
  readonly #session: Session;
  readonly #look: () => HandoffState;
  #scopeKey: string | undefined;
  #isBegun = false;

  /** `look` returns the current handoff state, without the scope. */
  constructor(session: Session, look: () => HandoffState) {
    this.#session = session;
    this.#look = look;
  }

  /** From now on the session outlives its front: its client can return to it. */
  begin(scopeKey?: string): void {
    this.#scopeKey = scopeKey;
    this.#isBegun = true;
    this.write();
  }

  /** The handoff state changed. */
  write(): void {
    if (!this.#isBegun) return;
    const text = JSON.stringify({ form, ...this.#look(), scopeKey: this.#scopeKey });
    this.#session.remember(text.length <= handoffCharsMax ? text : null);
  }
}
