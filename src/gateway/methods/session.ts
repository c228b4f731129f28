/** `session.*`: clients' stays. */
import { HoldfastError } from "../../errors.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function sessionHandlers(sessions: SessionSet): NamespaceHandlers<"session"> {
  return {
    "session.list": () => sessions.list(),
    "session.end": async ({ id }) => {
      const { failures } = await sessions.end(id, "session-ended");
      if (failures.length > 0)
        throw new HoldfastError("survivors", failures.map(({ error }) => String(error)).join("; "));
      return null;
    },
  };
}
