/** `mcp.*`: the configured MCP servers. */
import type { Hub } from "../../mcp/aggregate/hub.ts";
import type { ConfigFollower } from "../../mcp/reload.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function mcpHandlers(hub: Hub, follower: ConfigFollower): NamespaceHandlers<"mcp"> {
  return {
    "mcp.status": () => hub.status(),
    "mcp.refresh": ({ server }) => hub.refresh(server),
    "mcp.probe": ({ server }) => hub.probe(server),
    "mcp.reload": () => follower.reload(),
  };
}
