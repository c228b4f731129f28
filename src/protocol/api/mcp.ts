/** `mcp.*`: the configured MCP servers. */
import { z } from "zod";
import { configChangeShape } from "../keeper/front-config.ts";
import { method } from "./define.ts";

const serverShape = z.object({
  name: z.string(),
  kind: z.enum(["stdio", "http", "sse"]),
  share: z.enum(["session", "pool"]),
  enabled: z.boolean(),
  problem: z.string().nullable().describe("why it cannot start, and the remedy; null = available"),
  breaker: z.enum(["closed", "waiting", "open"]).describe("closed: may start at once"),
  failures: z.int().describe("in a row"),
  lastFailure: z.string().nullable(),
  silentSince: z.int().nullable().describe("no list of it came in time since then; sessions do not wait for it"),
  poolHolders: z.int().describe("sessions that share its pooled process"),
  poolRuns: z.array(z.string()).describe("ids of its pooled runs"),
  packages: z.array(z.string()).describe("installed by `resolveNpx`, with versions"),
  notices: z.array(z.string()).describe("deviations from the config, with the remedy"),
});
export type ServerStatus = z.infer<typeof serverShape>;

const probedShape = z.object({
  serverInfo: z.record(z.string(), z.unknown()),
  protocolVersion: z.string(),
  tools: z.array(z.string()),
  prompts: z.array(z.string()),
  resources: z.array(z.string()),
  ms: z.int().describe("from the request to the last list"),
});
export type Probed = z.infer<typeof probedShape>;

export const mcpApi = {
  "mcp.status": method({
    summary:
      "Every configured MCP server and how its last starts went. Starts nothing; checks unavailable servers again.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(serverShape),
    errors: [],
  }),
  "mcp.refresh": method({
    summary: "The next start of a server reinstalls its `resolveNpx` packages.",
    scope: "run",
    params: z.strictObject({ server: z.string().nullable().default(null).describe("null = all") }),
    result: z.record(z.string(), z.array(z.string())).describe("packages by server"),
    errors: ["server_unknown"],
  }),
  "mcp.probe": method({
    summary: "Starts a server in its own session, lists what it offers, and ends both.",
    scope: "run",
    params: z.strictObject({ server: z.string() }),
    result: probedShape,
    errors: ["server_unknown", "server_down", "session_limit", "run_limit"],
  }),
  "mcp.reload": method({
    summary:
      "Reloads `mcpServers` from the config. A server that cannot start becomes unavailable; any other mistake rejects the whole file. Answers when removed servers are gone, after at most 30 s.",
    scope: "admin",
    params: z.strictObject({}),
    result: configChangeShape,
    errors: ["config_unreadable", "config_invalid"],
  }),
};
