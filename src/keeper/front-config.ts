/** What the front may know of the config: no command, no argument, no environment. */
import type { Config } from "../config/schema.ts";
import type { FrontConfig } from "./protocol/messages.ts";

/** A front that drains has its own bounds; it is killed when it is this much later than they say. */
const drainSlackMs = 2000;
const drainMsMin = 5000;

/** Time for a front that was told to drain; then it is killed. */
export function drainBoundMs({ connections }: Config): number {
  return Math.max(drainMsMin, connections.drainMs + drainSlackMs);
}

export function frontConfig(config: Config, port: number): FrontConfig {
  const { bind, mcpServers, session, allowedOrigins, allowedHosts, limits, connections } = config;
  const servers = Object.entries(mcpServers).map(([name, { enabled, requestTimeoutMs, connectionTimeoutMs }]) => {
    return { name, kind: "stdio" as const, enabled, requestTimeoutMs, connectionTimeoutMs };
  });
  const { messageBytesMax } = limits;
  return { port, bind, servers, session, allowedOrigins, allowedHosts, messageBytesMax, connections };
}
