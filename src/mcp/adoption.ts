/**
 * The front before this one died or was replaced, its runs live: gives each session its server back, settles at the server what
 * nobody waits for any more, and ends what has no session. Done before anybody can call.
 */
import { asHoldfastError } from "../errors.ts";
import type { KeeperLink } from "../protocol/keeper/link.ts";
import type { LinkedRun } from "../protocol/keeper/linked-run.ts";
import type { HeldIds, HeldRun } from "../protocol/keeper/messages.ts";
import type { Log } from "../log.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionSet } from "../sessions/set.ts";
import type { Hub } from "./aggregate/hub.ts";
import { errorBody, rpcCode } from "./json-rpc.ts";
import { readBlob, type RunBlob } from "./run-blob.ts";

export interface AdoptionParts {
  link: KeeperLink;
  sessions: SessionSet;
  /** Sessions over several servers, and the servers that sessions share. */
  hub: Pick<Hub, "restore" | "adopt" | "resumed">;
  /** Puts the session on its server as it was; rejects when that cannot be done. */
  resume: (session: Session, held: HeldRun, blob: RunBlob) => Promise<void>;
  log: Log;
}

/** Resolves when every session of the front before is either whole again or ended. Never rejects. */
export async function adoptSessions(parts: AdoptionParts): Promise<void> {
  const { link, sessions, hub, log } = parts;
  const restored = sessions.restore();
  const resumed = new Set(restored.filter((session) => hub.restore(session)));
  const failed = await Promise.all(
    link.hello.runs
      .filter(({ run }) => run.kind === "mcp")
      .map(async (held) => {
        const why = await adopt(held, parts, resumed).catch((thrown: unknown) => asHoldfastError(thrown).message);
        if (why === undefined) return 0;
        const { id, sessionId } = held.run;
        log("run.not_adopted", { run: id, session: sessionId, why });
        await link.ask("run.stop", { run: id, reason: "front-lost" }).catch(() => {}); // it ended by itself
        return 1;
      }),
  );
  hub.resumed();
  const lost = restored.filter((session) => session.kind !== "ws" && !resumed.has(session));
  for (const session of lost) void session.close("front-lost"); // what cannot be ended is logged by the session set
  if (restored.length + failed.length === 0) return;
  const ended = failed.reduce((sum, one) => sum + one, 0 as number);
  log("session.resumed", { sessions: restored.length - lost.length, lost: lost.length, runsEnded: ended });
}

/** Why the run cannot be adopted; undefined = it was. */
async function adopt(held: HeldRun, parts: AdoptionParts, resumed: Set<Session>): Promise<string | undefined> {
  const blob = readBlob(held.blob);
  if (blob === undefined) return "its answer to initialize was not heard, or it was to end";
  if (blob.seat !== undefined) {
    await parts.hub.adopt(held, blob);
    return undefined;
  }
  const session = parts.sessions.get(held.run.sessionId ?? "");
  if (session === undefined) return "its session is no longer known";
  if (session.server !== held.run.server) return "its session is on another server";
  await parts.resume(session, held, blob);
  resumed.add(session);
  return undefined;
}

/** Tells the server that nobody waits for the old calls, and that nobody will answer its old questions. */
export function settleOld(run: Pick<LinkedRun, "send" | "closed">, { toServer, toFront }: HeldIds): void {
  const reason = "the connection to the caller was lost";
  for (const requestId of toServer) {
    const params = { requestId, reason };
    run.send(Buffer.from(JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params })));
    run.closed(requestId);
  }
  for (const { number, serverId } of toFront) {
    const fault = { code: rpcCode.unavailable, message: reason, reason: "session_unknown" as const };
    run.send(errorBody(serverId, fault), { closes: number });
  }
}
