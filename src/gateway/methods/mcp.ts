/** `mcp.*`: the configured MCP servers. */
import type { SessionManager } from "../../mcp/session/session-manager.ts";
import type { ConfigFollower } from "../../mcp/session/reload.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function mcpHandlers(manager: SessionManager, follower: ConfigFollower): NamespaceHandlers<"mcp"> {
  return {
    "mcp.status": () => manager.status(),
    "mcp.refresh": ({ server }) => manager.refresh(server),
    "mcp.probe": ({ server }) => manager.probe(server),
    "mcp.reload": () => follower.reload(),
  };
}
