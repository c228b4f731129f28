/** The shape of `holdfast.json`. Every key, its unit and its default is here; docs/config.md says the same in words. */
import { z } from "zod";
import { connectionsSchema } from "./connections.ts";
import { nodeSchema } from "./node.ts";
import { nodesSchema } from "./nodes.ts";

const milliseconds = z.int().min(0).max(2_147_483_647);

/** A shell somewhere in the user's ssh config may see the name, so nothing that one reads is in it. */
const sshHost = z
  .string()
  .regex(
    /^ssh:[^\s'"`$;&<>|(){}*?!#~-][^\s'"`$;&<>|(){}*?!#]*$/,
    "is ssh:<host, user@host, or a name of your ssh config>",
  );

/** As `holdfast nodes list` shows it. */
const nodeName = z.string().regex(/^(?!local$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);

/** Whether `host` is a node's name. */
export function isNodeHost(host: string): boolean {
  return host !== "local" && !host.startsWith("ssh:");
}

const readerTool = z.union([z.literal(false), z.enum(["read", "run", "admin"])]).default(false);

/** What every server has, wherever it runs. */
const everyServer = {
  enabled: z.boolean().default(true),
  /** A request without an answer for so long is cancelled and answered with an error. 0 = never. */
  requestTimeoutMs: milliseconds.default(0),
  /** Time for the server to answer `initialize`. */
  connectionTimeoutMs: milliseconds.default(60_000),
  /** `session`: one process tree per session. `pool`: one for all sessions that may share it (docs/mcp.md). */
  share: z.enum(["session", "pool"]).default("session"),
  /** The server is ended when no call was in flight for so long, and started again by the next one. 0 = never. */
  idleTimeoutMs: milliseconds.default(0),
  /** After so long calls go to a new process; the old one ends with its last call. 0 = never. */
  maxLifetimeMs: milliseconds.default(0),
};

/** One stdio MCP server, by the keys that every MCP client uses. */
const stdioSchema = z.strictObject({
  command: z.string().min(1, "must name a program"),
  args: z.array(z.string()).default([]),
  /** Added to a clean base environment (PATH, HOME, LANG …); nothing else of the gateway's own is passed on. */
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().min(1).optional(),
  /** `local`, or `ssh:` and a destination of the user's ssh config: the server runs there, guarded; or a node's name. */
  host: z
    .union(
      [z.literal("local"), sshHost, nodeName],
      "is local, a node's name (letters, digits, - and _), or ssh:<host, user@host, or a name of your ssh config>",
    )
    .default("local"),
  /** Where a server with a node as its host is started while that node is away: `local` or another node. Absent = nowhere. */
  hostFallback: z
    .union([z.literal("local"), nodeName], "is local, or a node's name (letters, digits, - and _)")
    .optional(),
  /** A `command: "ssh"` gets the same guard over there. false = as it is written, and its far side is nobody's. */
  sshGuard: z.boolean().default(true),
  /** What npx would run is installed once and run without npx (docs/mcp.md). */
  resolveNpx: z.boolean().default(false),
  ...everyServer,
  /** For the server's whole process tree; looked at every 200 ms, a tree over its limit is ended as `limit-exceeded`. */
  limits: z
    .strictObject({
      processesMax: z.int().min(1).optional(),
      memoryBytesMax: z
        .int()
        .min(1024 * 1024)
        .optional(),
    })
    .prefault({}),
});
export type ServerConfig = z.output<typeof stdioSchema>;

/** One remote MCP server. Holdfast does not start it, but its sessions there are ours to end. */
const remoteSchema = z.strictObject({
  /** `http`: streamable HTTP; `sse`: the older pair of a stream and an address to post to. */
  type: z.enum(["http", "streamable-http", "sse"]).default("http"),
  url: z.string().min(1),
  /** Sent with every request. */
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/, "is no header name"), z.string()).default({}),
  /** Name of an environment variable of the gateway that holds a bearer token. */
  bearerTokenEnv: z.string().min(1).optional(),
  /** `holdfast mcp login`. Needed only where the server does not register us by itself; false = no login there. */
  oauth: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          clientId: z.string().min(1).optional(),
          /** Name of an environment variable of the command that logs in. */
          clientSecretEnv: z.string().min(1).optional(),
          scopes: z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "is no scope")).optional(),
          /** On 127.0.0.1, for the browser's way back; 0 = any that is free. */
          redirectPort: z.int().min(0).max(65_535).default(0),
        }),
      ],
      "is false, or an object of clientId, clientSecretEnv, scopes, redirectPort",
    )
    .optional(),
  ...everyServer,
});
export type RemoteConfig = z.output<typeof remoteSchema>;

/** By its `url` a server is remote; each kind is told its own mistakes. */
const serverSchema = z.unknown().transform((value, context): ServerConfig | RemoteConfig => {
  const isRemote = typeof value === "object" && value !== null && "url" in value;
  const parsed = isRemote ? remoteSchema.safeParse(value) : stdioSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  context.issues.push(...parsed.error.issues.map((issue) => ({ ...issue, input: value }) as z.core.$ZodRawIssue));
  return z.NEVER;
});

/** Server names become part of paths and tool names: letters, digits, `-` and `_`. */
export const serverName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, "names are letters, digits, - and _, at most 32");

export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  port: z.int().min(0).max(65_535).default(4653),
  /** Addresses to listen on; past loopback always over TLS, with a certificate of its own if none is given. */
  bind: z.array(z.string().min(1)).min(1).default(["127.0.0.1", "::1"]),
  /** PEM files, relative to the config file; the front that starts next reads them anew. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  mcpServers: z.record(serverName, serverSchema).default({}),
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
      error: "is at least twice ssh.heartbeatMs: one that comes late is no loss",
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
export type Config = z.output<typeof configSchema>;
