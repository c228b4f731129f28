/** What the front may know of the config: no command, no argument, no environment. */
import type { Config } from "../config/schema.ts";
import type { FrontConfig } from "./protocol/messages.ts";

export function frontConfig(config: Config, port: number): FrontConfig {
  const { bind, mcpServers, session, allowedOrigins, allowedHosts, limits } = config;
  const servers = Object.entries(mcpServers).map(([name, { enabled, requestTimeoutMs, connectionTimeoutMs }]) => {
    return { name, kind: "stdio" as const, enabled, requestTimeoutMs, connectionTimeoutMs };
  });
  const { messageBytesMax } = limits;
  return { port, bind, servers, session, allowedOrigins, allowedHosts, messageBytesMax };
}
