/** Runs that belong to sessions: the session's scope owns each of them, in this front and in the next. */
import type { Clock, Timer } from "../clock.ts";
import type { Owned } from "../ownership/scope.ts";
import type { EndReason } from "../protocol/run.ts";
import type { Runner } from "../protocol/keeper/runner.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionSet } from "../sessions/set.ts";
import type { RunOwners } from "./owners.ts";

/** Interval of the search for runs whose session disappeared. */
const lookMs = 2000;

interface SessionRunsParts {
  readonly runners: Pick<Runner, "owners" | "end">;
  readonly sessions: Pick<SessionSet, "get">;
  readonly owners: RunOwners;
  readonly clock: Clock;
  /** Resolves when the run is over. */
  readonly over: (run: string) => Promise<unknown>;
  /** Resolves when the tree is gone. */
  readonly end: (run: string, reason: EndReason) => Promise<unknown>;
}

export class SessionRuns {
  readonly #parts: SessionRunsParts;
  readonly #held = new Set<string>();
  #timer: Timer | undefined;

  constructor(parts: SessionRunsParts) {
    this.#parts = parts;
  }

  /** Takes over the runs of restored sessions and ends those of lost ones, now and from time to time. */
  begin(): void {
    const look = () => void this.#look().catch(() => {}); // the keeper is gone, and so is this process
    look();
    this.#timer = this.#parts.clock.every(lookMs, look);
  }

  close(): void {
    this.#timer?.clear();
  }

  /** From here on the session's scope owns the run, until it is over. */
  hold(run: string, session: Session): void {
    if (this.#held.has(run)) return;
    const { owners, over, end } = this.#parts;
    this.#held.add(run);
    owners.note(run, session.tokenId);
    session.runs.add(run);
    const owned: Owned = { close: async (reason) => void (await end(run, reason)) };
    session.scope.add(owned, `run ${run}`);
    const release = () => {
      this.#held.delete(run);
      session.runs.delete(run);
      session.scope.release(owned);
    };
    over(run).then(release, release);
  }

  /** A session may be lost with its front, before its scope is closed. Then its runs end here. */
  async #look(): Promise<void> {
    const { runners, sessions } = this.#parts;
    for (const { run, sessionId } of await runners.owners({})) {
      const session = sessions.get(sessionId);
      if (session !== undefined) this.hold(run, session);
      else if (!this.#held.has(run)) await runners.end({ run, reason: "session-ended", hurried: false });
    }
  }
}
