/** `gateway.*`: the keeper answers for processes, the front for sessions. */
import type { KeeperLink } from "../../protocol/keeper/link.ts";
import type { SessionManager } from "../../mcp/session/session-manager.ts";
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import type { NodeView } from "../../protocol/api/node.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { GatewayStatus } from "../../protocol/api/gateway.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function gatewayHandlers(
  link: KeeperLink,
  sessions: SessionSet,
  urls: string[],
  nodes: Nodes,
  manager: SessionManager,
): NamespaceHandlers<"gateway"> {
  return {
    "gateway.status": async () => {
      const status = await link.ask("gateway.status", {});
      const unavailableServers = await manager.servers.unavailable();
      const { silentServers } = manager;
      const front = { url: urls[0] ?? "", urls, sessions: sessions.size, unavailableServers, silentServers };
      return { ...status, ...front, nodes: countNodes(nodes.views) };
    },
    "gateway.ping": ({ data }) => ({ data }),
    "gateway.stop": () => link.ask("gateway.stop", {}),
    "gateway.restart": ({ all }) => link.ask("gateway.restart", { all }),
  };
}

function countNodes(nodes: NodeView[]): GatewayStatus["nodes"] {
  const approved = nodes.filter(({ state }) => state === "approved");
  const connected = approved.filter((node) => node.connected);
  const waiting = nodes.filter(({ state }) => state === "pending");
  const runs = nodes.reduce((sum, node) => sum + node.runs, 0);
  return { connected: connected.length, absent: approved.length - connected.length, pending: waiting.length, runs };
}
