/** The shape of `holdfast.json`. Every key, its unit and its default is here; docs/config.md says the same in words. */
import { z } from "zod";
import { connectionsSchema } from "./connections.ts";
import { nodeSchema } from "./node.ts";
import { nodesSchema } from "./nodes.ts";
import { isObject, milliseconds, readServers, sshHost, type Servers } from "./server.ts";

export { isNodeHost, type AnyServer, type RemoteConfig, type ServerConfig } from "./server.ts";

const readerTool = z.union([z.literal(false), z.enum(["read", "run", "admin"])]).default(false);

const fileSchema = z.strictObject({
  $schema: z.string().optional(),
  port: z.int().min(0).max(65_535).default(4653),
  /** Addresses to listen on; past loopback always over TLS, with a certificate of its own if none is given. */
  bind: z.array(z.string().min(1)).min(1).default(["127.0.0.1", "::1"]),
  /** PEM files, relative to the config file; the front that starts next reads them anew. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  mcpServers: z.custom<object>(isObject, "must be an object of servers by name").default({}),
  session: z
    .strictObject({
      /** A session that nobody spoke to for so long is ended; its client gets 404 and begins anew. */
      idleLeaseMs: milliseconds.min(1).default(30 * 60_000),
      sessionsMax: z.int().min(1).max(100_000).default(1000),
    })
    .prefault({}),
  /** Background commands and terminals: `holdfast exec`, `run.start`, the tools `exec` and `process`. */
  exec: z
    .strictObject({
      enabled: z.boolean().default(false),
      /** Programs that may be started: names looked up in the gateway's PATH, or absolute paths. Absent = any. */
      allowCommands: z.array(z.string().min(1)).optional(),
      /** Other machines on which commands may be started, as the caller writes them. */
      allowHosts: z.array(sshHost).default([]),
      /** Directories in which, or below which, commands may be started; absolute. Absent = any. */
      allowDirectories: z.array(z.string().startsWith("/", "must be an absolute path")).min(1).optional(),
      /** Kept of each run's output: one half from its beginning, the rest from its end. */
      outputBytesMax: z
        .int()
        .min(4096)
        .max(1024 * 1024 * 1024)
        .default(2 * 1024 * 1024),
      /** A terminal in the background that is silent for so long, without input and without a viewer, is ended. 0 = off. */
      noOutputTimeoutMs: milliseconds.default(30 * 60_000),
      /** How long a run lives on without any front, unless it says otherwise. */
      keepMs: milliseconds.default(60_000),
      /** Ended background runs that are kept with their output. */
      historyMax: z.int().min(0).max(1000).default(200),
    })
    .prefault({}),
  /** Holdfast's own tools on `/mcp`, each off or offered to tokens with the scope that is named. */
  tools: z
    .strictObject({
      /** `exec` and `process`. */
      exec: z.union([z.literal(false), z.enum(["run", "admin"])]).default(false),
      /** `nodes`: commands on other machines, as far as their own rules allow. */
      nodes: z.union([z.literal(false), z.enum(["run", "admin"])]).default(false),
      sessions: readerTool,
      status: readerTool,
    })
    .prefault({}),
  stop: z
    .strictObject({
      /** From the end of stdin to SIGTERM. */
      stdinGraceMs: milliseconds.default(2000),
      /** From SIGTERM to the kill of the container. */
      termGraceMs: milliseconds.default(3000),
    })
    .prefault({}),
  limits: z
    .strictObject({
      runsMax: z.int().min(1).max(100_000).default(2000),
      /** MCP servers between their spawn and their answer to `initialize`, at one time; the next ones wait. */
      startsMax: z.int().min(1).max(1000).default(4),
      /** How long a session waits for MCP servers that do not answer, for `initialize` and all its lists together. */
      listMs: milliseconds.min(1).default(2000),
      messageBytesMax: z
        .int()
        .min(1024)
        .max(64 * 1024 * 1024)
        .default(16 * 1024 * 1024),
      /** How long a call of a client without a session waits for the answers that its server asked for. */
      questionMs: milliseconds.min(1).default(10 * 60_000),
      /** Front restarts within `frontRestartWindowMs` before the gateway gives up, ends every run and exits 1. */
      frontRestartsMax: z.int().min(0).max(1000).default(10),
      frontRestartWindowMs: milliseconds.min(1).default(60_000),
      /** How long runs are kept without a front; when none serves by then the gateway ends every run and exits 1. */
      keepMs: milliseconds.min(1).default(60_000),
      /** A front whose loop gives no sign for so long is ended and replaced. 0 = never; it gives one a second. */
      frontStuckMs: milliseconds
        .refine((ms) => ms === 0 || ms >= 2000, "must be 0 (never) or at least 2000")
        .default(5000),
    })
    .prefault({}),
  ssh: z
    .strictObject({
      /** From the start of ssh until the guard over there answers. */
      connectTimeoutMs: milliseconds.min(100).default(15_000),
      heartbeatMs: milliseconds.min(100).max(10_000).default(1000),
      /** Without a heartbeat for so long both sides call the other lost. Whole seconds over there, at least 2. */
      heartbeatTimeoutMs: milliseconds.min(1000).default(4000),
      /** Runs that share one connection; sshd allows 10 sessions on one (MaxSessions), and the guardian needs one. */
      runsPerConnection: z.int().min(1).max(1000).default(8),
      /** A connection without runs is kept for so long. */
      idleMs: milliseconds.default(60_000),
    })
    .refine(({ heartbeatMs, heartbeatTimeoutMs }) => heartbeatTimeoutMs >= 2 * heartbeatMs, {
      path: ["heartbeatTimeoutMs"],
      error: "must be at least twice ssh.heartbeatMs, so that a late heartbeat is not taken for a loss",
    })
    .prefault({}),
  nodes: nodesSchema,
  connections: connectionsSchema,
  node: nodeSchema,
  /** Browser origins that may call, besides the gateway's own address; e.g. "http://localhost:3000". */
  allowedOrigins: z.array(z.url()).default([]),
  /** Host names that may be in the Host header, besides localhost and the loopback addresses. */
  allowedHosts: z.array(z.string().min(1)).default([]),
});

export type Config = Omit<z.output<typeof fileSchema>, "mcpServers"> & Servers;

export const configSchema = fileSchema.transform(({ mcpServers, ...rest }): Config => ({
  ...rest,
  ...readServers(mcpServers),
}));
