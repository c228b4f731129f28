/**
 * Ends a foreground run once its waiting caller has disappeared, for example because it was killed. Stored for the next front: a
 * caller may be killed together with this one.
 */
import { inTime, type Clock } from "../clock.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionStore } from "../sessions/store.ts";
import type { Runner } from "../protocol/keeper/runner.ts";

/** A broken connection returns sooner. */
const returnMs = 250;
/** From SIGTERM to the kill: without a caller a longer grace is pointless. */
const termGraceMs = 1000;

export type CallerStore = Pick<SessionStore, "runCallers" | "runAwaited" | "runUnawaited">;

interface CallersParts {
  readonly clock: Clock;
  /** Without one, the next front knows of no caller that does not name itself again. */
  readonly store?: CallerStore | undefined;
  /** Resolves when the run is over. */
  readonly over: (run: string) => Promise<unknown>;
}

export class Callers {
  readonly #runner: Pick<Runner, "end" | "signal">;
  readonly #parts: CallersParts;
  readonly #watched = new Map<string, Session>();
  #closed = false;

  constructor(runner: Pick<Runner, "end" | "signal">, parts: CallersParts) {
    this.#runner = runner;
    this.#parts = parts;
  }

  /** Takes over the callers of the front before this one. A run whose caller's session is unknown is ended. */
  begin(sessionOf: (id: string) => Session | undefined): void {
    for (const { run, sessionId } of this.#parts.store?.runCallers() ?? []) {
      const session = sessionOf(sessionId);
      if (session !== undefined) this.watch(run, session);
      else void this.endLost(run).then(() => this.#parts.store?.runUnawaited(run));
    }
  }

  /** From now on absences are ignored: this front is ending, and breaks every connection itself. */
  close(): void {
    this.#closed = true;
  }

  /** Passing the same session again changes nothing. */
  watch(run: string, session: Session): void {
    if (this.#watched.get(run) === session || session.ended) return;
    this.#watched.set(run, session);
    const { clock, store, over } = this.#parts;
    store?.runAwaited(run, session.id);
    const isWatched = () => !this.#closed && this.#watched.get(run) === session;
    const forget = () => {
      if (!isWatched()) return;
      this.#watched.delete(run);
      store?.runUnawaited(run);
    };
    const stopListening = session.lease.whenLeft(() => {
      clock.after(returnMs, () => {
        if (isWatched() && session.lease.holders === 0) void this.endLost(run);
      });
    });
    session.onEnd((reason) => {
      // An orderly end keeps the run: a person may have detached from it.
      if (reason === "lease-expired" && isWatched()) void this.endLost(run);
      forget();
    });
    const release = () => {
      stopListening();
      forget();
    };
    over(run).then(release, release);
  }

  /** Never rejects: a run that has already ended is the desired result, and the record reports survivors. */
  async endLost(run: string): Promise<void> {
    if (this.#closed) return;
    const end = (hurried: boolean) => this.#runner.end({ run, reason: "session-ended", hurried });
    const ended = end(false).catch(() => {});
    await this.#runner.signal({ run, signal: "SIGTERM", to: "all" }).catch(() => {});
    const isOver = await inTime(
      this.#parts.clock,
      ended.then(() => true),
      termGraceMs,
      false,
    );
    if (!isOver) await end(true).catch(() => {});
  }
}
