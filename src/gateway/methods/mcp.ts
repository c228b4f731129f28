/** `mcp.*`: the configured MCP servers. */
import type { Hub } from "../../mcp/aggregate/hub.ts";
import type { NamespaceHandlers } from "./handlers.ts";

export function mcpHandlers(hub: Hub): NamespaceHandlers<"mcp"> {
  return {
    "mcp.status": () => hub.status(),
    "mcp.refresh": ({ server }) => hub.refresh(server),
    "mcp.probe": ({ server }) => hub.probe(server),
  };
}
