/** All sessions of this gateway, in memory, with a cap. */
import type { Clock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { EndReason } from "../keeper/protocol/messages.ts";
import type { Scope, ScopeClosed } from "../ownership/scope.ts";
import { Session, type SessionParams, type SessionView } from "./session.ts";

export interface SessionLimits {
  idleLeaseMs: number;
  sessionsMax: number;
}

export class SessionSet {
  readonly #sessions = new Map<string, Session>();
  readonly #scope: Scope;
  readonly #clock: Clock;
  readonly #limits: SessionLimits;
  readonly #log: Log;
  #onEmpty: (() => void) | undefined;

  constructor(scope: Scope, clock: Clock, limits: SessionLimits, log: Log) {
    // Sessions do not need each other: one stubborn tree must not hold up the end of the rest.
    this.#scope = scope.child("sessions", { independent: true });
    this.#clock = clock;
    this.#limits = limits;
    this.#log = log;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Throws `session_limit` at the cap. */
  open(params: SessionParams): Session {
    const { sessionsMax, idleLeaseMs } = this.#limits;
    if (this.#sessions.size >= sessionsMax) {
      const advice = "end some (`holdfast sessions list`, `holdfast sessions end ID`) or raise the limit in the config";
      throw new HoldfastError("session_limit", `session.sessionsMax = ${sessionsMax} sessions are open; ${advice}`);
    }
    const session = new Session(params, this.#clock, idleLeaseMs, (ended, gone) => this.#leave(ended, gone));
    this.#sessions.set(session.id, session);
    return this.#scope.add(session, `session ${session.id}`);
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Resolves when all that the session owned is gone. Throws `session_unknown`. */
  end(id: string, reason: EndReason): Promise<ScopeClosed> {
    const session = this.#sessions.get(id);
    if (session === undefined) {
      throw new HoldfastError(
        "session_unknown",
        `no session ${id}; \`holdfast sessions list\` shows those that are open`,
      );
    }
    return session.close(reason);
  }

  /** Resolves when no session is open any more, or after `boundMs`; then those that are open stay so. */
  empty(boundMs: number): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.after(boundMs, resolve);
      this.#onEmpty = () => {
        timer.clear();
        resolve();
      };
    });
  }

  /** A session that ends is not found any more, but its scope holds it until all it owned is gone. */
  #leave(session: Session, gone: Promise<ScopeClosed>): void {
    this.#sessions.delete(session.id);
    if (this.#sessions.size === 0) this.#onEmpty?.();
    void gone.then(({ reason, failures }) => {
      this.#scope.release(session);
      for (const { name, error } of failures) {
        this.#log("session.leftover", {
          session: session.id,
          server: session.server,
          reason,
          name,
          error: String(error),
        });
      }
    });
  }

  list(): SessionView[] {
    return [...this.#sessions.values()].map((session) => session.view());
  }
}
