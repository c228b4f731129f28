/** The shape of `holdfast.json`. Every key, its unit and its default is here; docs/config.md says the same in words. */
import { z } from "zod";
import { isObject, milliseconds, readServers, sshHost, type Servers } from "./server.ts";

export { isNodeHost, type AnyServer, type RemoteConfig, type ServerConfig } from "./server.ts";

const readerTool = z.union([z.literal(false), z.enum(["read", "run", "admin"])]).default(false);

const deadline = z.int().min(100).max(2_147_483_647);

/** Limits and deadlines of TCP connections. Deadlines are judged about five times before each is over, so an end may come a fifth later. */
const connectionsSchema = z
  .strictObject({
    /** Open connections in all; fewer where 80 % of the descriptor limit are fewer. */
    max: z.int().min(1).max(1_000_000).default(10_000),
    /** Unauthenticated connections of one address; above it the oldest of them is closed. */
    unprovenPerAddressMax: z.int().min(1).max(1_000_000).default(256),
    /** From accept, or the first byte of a request, to the end of its head. */
    headMs: deadline.default(5000),
    /** From the first request, or the upgrade, to the right token. */
    authMs: deadline.default(10_000),
    /** An HTTP connection without a request. */
    idleMs: deadline.default(60_000),
    /** A silent WebSocket is pinged after so long, and has `heartbeatGraceMs` to answer. */
    heartbeatMs: deadline.default(15_000),
    heartbeatGraceMs: deadline.default(10_000),
    /** A client that reads nothing for so long while data waits is closed. */
    slowMs: deadline.default(10_000),
    /** Bytes waiting for one WebSocket: at `pauseBytes` their producer pauses, above `closeBytes` the connection is closed. */
    pauseBytes: z
      .int()
      .min(1024)
      .default(1024 * 1024),
    closeBytes: z
      .int()
      .min(1024)
      .default(4 * 1024 * 1024),
    /** From our end of the connection to the reset. */
    closingMs: deadline.default(2000),
    /** From the close frame to the reset when the gateway stops. */
    drainMs: deadline.default(5000),
  })
  .prefault({});

/** What this machine lets a gateway do when it is a node (`holdfast node run`), and how long it waits. */
const nodeSchema = z
  .strictObject({
    /** Programs that the gateway may start: names looked up in the node's PATH, or absolute paths. Absent = any; with `ask` on-miss none. */
    allowCommands: z.array(z.string().min(1)).optional(),
    /** Directories in which, or below which, they may be started; absolute. Absent = any. */
    allowDirectories: z.array(z.string().startsWith("/", "must be an absolute path")).min(1).optional(),
    /** `on-miss`: what the lists do not allow is asked of the person at the node's terminal. */
    ask: z.enum(["off", "on-miss"]).default("off"),
    /** Time for the person to answer. */
    askMs: deadline.default(60_000),
    /** The longest lease that a gateway may give a run: as long one may live on when nothing is heard of the gateway. */
    leaseMaxMs: deadline.min(500).default(3_600_000),
    /** For one attempt to reach the gateway; with --once for all of them. */
    connectMs: deadline.default(30_000),
    /** With --once: for an admin to approve the node. */
    approvalMs: deadline.default(600_000),
    /** With --once: for a run to come. */
    invocationMs: deadline.default(600_000),
    /** With --once: for the gateway to take the result. */
    acknowledgeMs: deadline.default(60_000),
  })
  .prefault({});

/** Silence is loss after three beats; a lease must be longer than that by more than a moment. */
const beatsPerLeaseMin = 5;

/** Runs on other machines: how long they may go on without this gateway, and how soon silence is noticed. */
const nodesSchema = z
  .strictObject({
    /** A run on a node that heard nothing of the gateway for so long is ended there. */
    leaseMs: milliseconds.min(500).default(30_000),
    /** A node is asked for a sign of life so often; three of them late, and its link is lost. */
    beatMs: milliseconds.min(50).default(2000),
    /** How long a connection may wait to be approved. */
    pendingMs: milliseconds.min(1000).default(10 * 60_000),
  })
  .refine(({ leaseMs, beatMs }) => leaseMs >= beatsPerLeaseMin * beatMs, {
    path: ["leaseMs"],
    error: `must be at least ${beatsPerLeaseMin} times nodes.beatMs, so that a late heartbeat is not taken for a loss`,
  })
  .prefault({});

const fileSchema = z.strictObject({
  $schema: z.string().optional(),
  port: z.int().min(0).max(65_535).default(4653),
  /** Addresses to listen on; past loopback always over TLS, with a certificate of its own if none is given. */
  bind: z.array(z.string().min(1)).min(1).default(["127.0.0.1", "::1"]),
  /** PEM files, relative to the config file; read again by the next front. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  mcpServers: z.custom<object>(isObject, "must be an object of servers by name").default({}),
  session: z
    .strictObject({
      /** A session without requests for so long is ended; its client gets 404 and initializes again. */
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
      /** From the start of ssh until the remote guard answers. */
      connectTimeoutMs: milliseconds.min(100).default(15_000),
      heartbeatMs: milliseconds.min(100).max(10_000).default(1000),
      /** Without a heartbeat for so long each side considers the other lost. The remote side counts whole seconds, at least 2. */
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
  /** Browser origins that may call, in addition to the gateway's own address; e.g. "http://localhost:3000". */
  allowedOrigins: z.array(z.url()).default([]),
  /** Host names that may be in the Host header, in addition to localhost and the loopback addresses. */
  allowedHosts: z.array(z.string().min(1)).default([]),
});

export type Config = Omit<z.output<typeof fileSchema>, "mcpServers"> & Servers;

export const configSchema = fileSchema.transform(({ mcpServers, ...rest }): Config => ({
  ...rest,
  ...readServers(mcpServers),
}));
