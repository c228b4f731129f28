/** Ends a run in the foreground once the caller who waits for it is gone without a word, as one that was killed is. */
import { inTime, type Clock } from "../clock.ts";
import type { Session } from "../sessions/session.ts";
import type { Runner } from "../protocol/keeper/runner.ts";

/** A caller whose connection broke is back sooner. */
const returnMs = 250;
/** From SIGTERM to the kill: nobody is left to wait for a longer grace. */
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

  /** From now on nobody's absence means anything: this front is ending, and breaks every connection itself. */
  close(): void {
    this.#closed = true;
  }

  /** `over` resolves when the run is. Naming the same session again changes nothing. */
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
      // Ended in order, it leaves its run as it is: a person may have detached from it.
      if (reason === "lease-expired" && isWatched()) void this.endLost(run);
      forget();
    });
    const release = () => {
      stopListening();
      forget();
    };
    over().then(release, release);
  }

  /** Never rejects: a run that has ended meanwhile is what is wanted, and survivors are the record's to tell. */
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
