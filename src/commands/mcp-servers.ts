/** `holdfast mcp status` and `holdfast mcp probe NAME`. */
import { GatewayClient } from "../client/rpc.ts";
import type { CommandContext } from "./context.ts";
import { count, printJson, printLines } from "./print.ts";

export async function mcpStatus(context: CommandContext): Promise<number> {
  const servers = await new GatewayClient(context).call("mcp.status", {});
  if (context.json) {
    printJson(servers);
    return 0;
  }
  const lines = servers.map(({ name, kind, share, enabled, breaker, failures, lastFailure, poolHolders, poolRuns }) => {
    if (!enabled) return `${name}  disabled`;
    const pooled = `, pooled: ${count(poolHolders, "session")} on ${count(poolRuns.length, "run")}`;
    const health = breaker === "closed" ? "" : `, ${breaker} after ${count(failures, "failure")}: ${lastFailure ?? ""}`;
    return `${name}  ${kind}${share === "pool" ? pooled : ""}${health}`;
  });
  printLines(lines.length === 0 ? ["no MCP servers in the config"] : lines);
  return 0;
}

export async function mcpProbe(context: CommandContext, server: string): Promise<number> {
  const found = await new GatewayClient(context).call("mcp.probe", { server });
  if (context.json) {
    printJson(found);
    return 0;
  }
  const { serverInfo, protocolVersion, tools, prompts, resources, ms } = found;
  const who = [serverInfo["name"], serverInfo["version"]].filter((word) => typeof word === "string").join(" ");
  const counts = [count(tools.length, "tool"), count(prompts.length, "prompt"), count(resources.length, "resource")];
  printLines([`${who || server}, revision ${protocolVersion}: ${counts.join(", ")} in ${ms} ms`, ...tools]);
  return 0;
}
