/** Ends a foreground run once its waiting caller has disappeared, for example because it was killed. */
import { inTime, type Clock } from "../clock.ts";
import type { Session } from "../sessions/session.ts";
import type { Runner } from "../protocol/keeper/runner.ts";

/** A broken connection returns sooner. */
const returnMs = 250;
/** From SIGTERM to the kill: without a caller a longer grace is pointless. */
const termGraceMs = 1000;

export class Callers {
  readonly #runner: Pick<Runner, "end" | "signal">;
  readonly #clock: Clock;
  readonly #watched = new Map<string, Session>();
  #closed = false;

  constructor(runner: Pick<Runner, "end" | "signal">, clock: Clock) {
    this.#runner = runner;
    this.#clock = clock;
  }

  /** From now on absences are ignored: this front is ending, and breaks every connection itself. */
  close(): void {
    this.#closed = true;
  }

  /** `over` resolves when the run is over. Passing the same session again changes nothing. */
  watch(run: string, session: Session, over: () => Promise<unknown>): void {
    if (this.#watched.get(run) === session || session.ended) return;
    this.#watched.set(run, session);
    const isWatched = () => !this.#closed && this.#watched.get(run) === session;
    const forget = () => {
      if (isWatched()) this.#watched.delete(run);
    };
    const stopListening = session.lease.whenLeft(() => {
      this.#clock.after(returnMs, () => {
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
    over().then(release, release);
  }

  /** Never rejects: a run that has already ended is the desired result, and the record reports survivors. */
  async endLost(run: string): Promise<void> {
    if (this.#closed) return;
    const end = (hurried: boolean) => this.#runner.end({ run, reason: "session-ended", hurried });
    const ended = end(false).catch(() => {});
    await this.#runner.signal({ run, signal: "SIGTERM", to: "all" }).catch(() => {});
    const isOver = await inTime(
      this.#clock,
      ended.then(() => true),
      termGraceMs,
      false,
    );
    if (!isOver) await end(true).catch(() => {});
  }
}
