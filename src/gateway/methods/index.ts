/** The handlers of all namespaces. */
import type { Clock } from "../../clock.ts";
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { SessionManager } from "../../mcp/session/session-manager.ts";
import type { ConfigFollower } from "../../mcp/session/reload.ts";
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import type { RunService } from "../../runs/service.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { EventBus } from "../event-bus.ts";
import { gatewayHandlers } from "./gateway.ts";
import type { AllHandlers } from "./handlers.ts";
import { runHandlers } from "./run.ts";
import { eventsHandlers } from "./events.ts";
import { mcpHandlers } from "./mcp.ts";
import { nodeHandlers } from "./node.ts";
import { sessionHandlers } from "./session.ts";

export interface MethodParts {
  link: KeeperLink;
  sessions: SessionSet;
  urls: string[];
  bus: EventBus;
  runs: RunService;
  manager: SessionManager;
  nodes: Nodes;
  follower: ConfigFollower;
  clock: Clock;
}

export function allHandlers(parts: MethodParts): AllHandlers {
  const { link, sessions, urls, bus, runs, manager, nodes, follower, clock } = parts;
  return {
    ...gatewayHandlers(link, sessions, urls, nodes, manager),
    ...runHandlers(runs, sessions),
    ...nodeHandlers(nodes, runs, sessions, urls),
    ...sessionHandlers(sessions),
    ...mcpHandlers(manager, follower),
    ...eventsHandlers(bus, sessions, clock),
  };
}
