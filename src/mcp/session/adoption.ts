/**
 * After the previous front crashed or was replaced, its runs live on: returns the servers to their sessions, settles
 * abandoned requests, and ends runs without a session. Finishes before the first call.
 */
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { HeldRun } from "../../protocol/keeper/messages.ts";
import type { Log } from "../../log.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { SessionManager } from "./session-manager.ts";
import { readRunHandoff } from "../servers/run-handoff.ts";

export interface AdoptionParts {
  link: KeeperLink;
  sessions: SessionSet;
  manager: Pick<SessionManager, "restore" | "adopt" | "resumed">;
  log: Log;
}

/** Resolves when every session of the previous front is restored or ended. Never rejects. */
export async function adoptSessions({ link, sessions, manager, log }: AdoptionParts): Promise<void> {
  const restored = sessions.restore();
  const resumed = new Set(restored.filter((session) => manager.restore(session)));
  const adopt = async (held: HeldRun): Promise<number> => {
    const { id, sessionId } = held.run;
    try {
      const blob = readRunHandoff(held.blob);
      if (blob === undefined)
        throw new HoldfastError("run_unknown", "its answer to initialize was not heard, or it was to end");
      await manager.adopt(held, blob);
      return 0;
    } catch (thrown) {
      log("run.not_adopted", { run: id, session: sessionId, why: asHoldfastError(thrown).message });
      await link.ask("run.stop", { run: id, reason: "front-lost" }).catch(() => {}); // it ended by itself
      return 1;
    }
  };
  const failed = await Promise.all(link.hello.runs.filter(({ run }) => run.kind === "mcp").map(adopt));
  for (const session of manager.resumed()) resumed.delete(session);
  const lost = restored.filter((session) => session.kind !== "ws" && !resumed.has(session));
  for (const session of lost) void session.close("front-lost"); // the session set logs what cannot be ended
  if (restored.length + failed.length === 0) return;
  const ended = failed.reduce((sum, one) => sum + one, 0);
  log("session.resumed", { sessions: restored.length - lost.length, lost: lost.length, runsEnded: ended });
}
