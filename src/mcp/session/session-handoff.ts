/**
 * What a front after this one must know of an aggregate session, in the session's row: who its client is, what it said of
 * its roots, which pooled servers it holds, what it wants to hear of. Its own servers are found by their runs.
 */
import type { Session } from "../../sessions/session.ts";
import type { Introduction } from "../servers/handshake.ts";

/** A client that says more of itself than this many characters has a session that ends with its front. */
const handoffCharsMax = 256 * 1024;
/** Raised when the memo's form changes; others are not read. */
const form = 2;

export interface HandoffState {
  /** Undefined where the client introduced itself to its server. */
  introduction?: Introduction | undefined;
  isPassThrough: boolean;
  /** For a client that names a scope where others have a session. */
  scopeKey?: string | undefined;
  /** Undefined: the client must be asked. */
  roots?: { now?: unknown } | undefined;
  holds: { server: string; roots?: unknown }[];
  subscriptions: [uri: string, server: string][];
  logLevel?: unknown;
  /** Each request may be another client's. */
  isAnonymous?: boolean | undefined;
}

/** Undefined: there is none, or none that this front can read. */
export function readHandoff(text: string | null): HandoffState | undefined {
  try {
    const memo = JSON.parse(text ?? "{}") as HandoffState & { form?: number };
    return memo.form === form ? memo : undefined;
  } catch {
    return undefined; // not ours: the session cannot go on, and the rest must
  }
}

export class SessionHandoff {
  readonly #session: Session;
  readonly #look: () => HandoffState;
  #scopeKey: string | undefined;
  #isBegun = false;

  /** `look` tells what the next front must know as things are, the scope aside. */
  constructor(session: Session, look: () => HandoffState) {
    this.#session = session;
    this.#look = look;
  }

  /** From now on the session outlives its front: its client knows how to come back to it. */
  begin(scopeKey?: string): void {
    this.#scopeKey = scopeKey;
    this.#isBegun = true;
    this.write();
  }

  /** Something is another now that the next front must know. */
  write(): void {
    if (!this.#isBegun) return;
    const text = JSON.stringify({ form, ...this.#look(), scopeKey: this.#scopeKey });
    this.#session.remember(text.length <= handoffCharsMax ? text : null);
  }
}
