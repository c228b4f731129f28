/** `mcp.*`: the configured MCP servers. */
import { z } from "zod";
import type { ConfigChange } from "../../keeper/protocol/messages.ts";
import { method } from "./define.ts";

const serverShape = z.object({
  name: z.string(),
  kind: z.enum(["stdio", "http", "sse"]),
  share: z.enum(["session", "pool"]),
  enabled: z.boolean(),
  problem: z.string().nullable().describe("why it cannot be had as things are, and what to do; null = it can"),
  breaker: z.enum(["closed", "waiting", "open"]).describe("closed: it may be started at once"),
  failures: z.int().describe("in a row, since it last answered a call"),
  lastFailure: z.string().nullable(),
  poolHolders: z.int().describe("sessions that hold a pooled process of it"),
  poolRuns: z.array(z.string()).describe("ids of its pooled runs"),
  packages: z.array(z.string()).describe("with versions: what `resolveNpx` runs without npx; empty = nothing yet"),
  notices: z.array(z.string()).describe("what is not as the config wants it, in words, with what to do"),
});

const names = z.array(z.string());

/** Of the servers of the config that cannot be had as things are. */
export const unavailableShape = z.object({ name: z.string(), problem: z.string().describe("why, and what to do") });

const changeShape = z.object({
  added: names,
  removed: names,
  changed: names.describe("new processes take their calls; the old ones end, at the latest with their last call"),
  unchanged: names.describe("their processes and sessions go on"),
  needsRestart: names.describe("keys that `holdfast restart --all` takes, such as `port` or `limits.runsMax`"),
  unavailable: z.array(unavailableShape).describe("servers that something is missing for; the others are served"),
});
changeShape satisfies z.ZodType<ConfigChange>;

export const mcpApi = {
  "mcp.status": method({
    summary:
      "Every MCP server of the config, and how its last starts went. Starts nothing; looks again at servers that were unavailable.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(serverShape),
    errors: [],
  }),
  "mcp.refresh": method({
    summary: "What `resolveNpx` has installed is installed again by the next start of its server.",
    scope: "run",
    params: z.strictObject({ server: z.string().nullable().default(null).describe("null = every server") }),
    result: z.record(z.string(), z.array(z.string())).describe("packages by server; none where nothing is installed"),
    errors: ["server_unknown"],
  }),
  "mcp.probe": method({
    summary: "Starts one server in a session of its own, asks it what it offers, and ends both.",
    scope: "run",
    params: z.strictObject({ server: z.string() }),
    result: z.object({
      serverInfo: z.record(z.string(), z.unknown()),
      protocolVersion: z.string(),
      tools: z.array(z.string()),
      prompts: z.array(z.string()),
      resources: z.array(z.string()),
      ms: z.int().describe("from the request to the last list"),
    }),
    errors: ["server_unknown", "server_down", "session_limit", "run_limit"],
  }),
  "mcp.reload": method({
    summary:
      "Reads the config again; a server that something is missing for is unavailable, any other mistake refuses the whole. Its MCP servers are taken at once; the answer comes when those that are no longer offered are gone, after 30 s at most.",
    scope: "admin",
    params: z.strictObject({}),
    result: changeShape,
    errors: ["config_unreadable", "config_invalid"],
  }),
};
