/** What the API can do: the handlers of every namespace in one table. */
import type { KeeperLink } from "../../keeper/protocol/link.ts";
import type { SessionSet } from "../../sessions/set.ts";
import { gatewayHandlers } from "./gateway.ts";
import type { AllHandlers } from "./handlers.ts";
import { runHandlers } from "./run.ts";
import { sessionHandlers } from "./session.ts";

export interface MethodParts {
  link: KeeperLink;
  sessions: SessionSet;
  urls: string[];
}

export function allHandlers({ link, sessions, urls }: MethodParts): AllHandlers {
  return { ...gatewayHandlers(link, sessions, urls), ...runHandlers(link), ...sessionHandlers(sessions) };
}
