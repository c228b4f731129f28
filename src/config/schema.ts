/** The schema of `holdfast.json`, with every key, unit and default; docs/config.md describes it. */
import { z } from "zod";
import { containmentProblem, containments } from "../platform/containment.ts";
import { isFullPath } from "../platform/places.ts";
import { isObject, milliseconds, readServers, sshHost, type Servers } from "./server.ts";

export { isNodeHost, type AnyServer, type RemoteConfig, type ServerConfig } from "./server.ts";

const readerTool = z.union([z.literal(false), z.enum(["read", "run", "admin"])]).default(false);

/** A file or other URL without a host has no origin of its own: its pages send `null`, as any sandboxed page does. */
const origin = z
  .url()
  .refine((url) => (URL.parse(url)?.host ?? "") !== "", "must have a scheme and a host, such as http://localhost:3000");

const fullPath = z.string().refine(isFullPath, "must be an absolute path");

const deadline = z.int().min(100).max(2_147_483_647);

/** Limits and deadlines of TCP connections. A deadline is checked about five times, so an end may be a fifth late. */
const connectionsSchema = z
  .strictObject({
    /** Open connections in total; at most 80 % of the descriptor limit. */
    max: z.int().min(1).max(1_000_000).default(10_000),
    /** Unauthenticated connections per address; above it the oldest is closed. */
    unprovenPerAddressMax: z.int().min(1).max(1_000_000).default(256),
    /** From accept, or the first byte of a request, to the end of its head. */
    headMs: deadline.default(5000),
    /** From the first request, or the upgrade, to the correct token. */
    authMs: deadline.default(10_000),
    /** For an HTTP connection without a request. */
    idleMs: deadline.default(60_000),
    /** A silent WebSocket is pinged after this time, and has `heartbeatGraceMs` to answer. */
    heartbeatMs: deadline.default(15_000),
    heartbeatGraceMs: deadline.default(10_000),
    /** A client that reads nothing for this long while data waits is closed. */
    slowMs: deadline.default(10_000),
    /** Bytes queued for one WebSocket: at `pauseBytes` their producer pauses, above `closeBytes` the connection is closed. */
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

/** What a gateway may do on this machine as a node (`holdfast node run`), and the node's deadlines. */
const nodeSchema = z
  .strictObject({
    /** Programs that the gateway may start: names looked up in the node's PATH, or absolute paths. Absent = any; with `ask` on-miss none. */
    allowCommands: z.array(z.string().min(1)).optional(),
    /** Absolute directories that, with their subdirectories, may be working directories. Absent = any. */
    allowDirectories: z.array(fullPath).min(1).optional(),
    /** `on-miss`: what the lists exclude is put to the person at the node's terminal. */
    ask: z.enum(["off", "on-miss"]).default("off"),
    /** Time for the person to answer. */
    askMs: deadline.default(60_000),
    /** The longest lease that a gateway may give a run: how long the run may survive without contact to the gateway. */
    leaseMaxMs: deadline.min(500).default(3_600_000),
    /** For one attempt to reach the gateway; with --once for all attempts. */
    connectMs: deadline.default(30_000),
    /** With --once: for an admin to approve the node. */
    approvalMs: deadline.default(600_000),
    /** With --once: for a run to arrive. */
    invocationMs: deadline.default(600_000),
    /** With --once: for the gateway to accept the result. */
    acknowledgeMs: deadline.default(60_000),
  })
  .prefault({});

/** Three missed heartbeats mean loss; a lease must be clearly longer than that. */
const heartbeatsPerLeaseMin = 5;

/** Runs on other machines: how long they survive without this gateway, and how soon silence is noticed. */
const nodesSchema = z
  .strictObject({
    /** A run on a node without contact to the gateway for this long is ended there. */
    leaseMs: milliseconds.min(500).default(30_000),
    /** Interval of heartbeats to a node; its link is lost when three are late. */
    beatMs: milliseconds.min(50).default(2000),
    /** How long a connection may wait to be approved. */
    pendingMs: milliseconds.min(1000).default(10 * 60_000),
  })
  .refine(({ leaseMs, beatMs }) => leaseMs >= heartbeatsPerLeaseMin * beatMs, {
    path: ["leaseMs"],
    error: `must be at least ${heartbeatsPerLeaseMin} times nodes.beatMs, so that a late heartbeat is not taken for a loss`,
  })
  .prefault({});

const fileSchema = z.strictObject({
  $schema: z.string().optional(),
  port: z.int().min(0).max(65_535).default(4653),
  /** Addresses to listen on; beyond loopback always over TLS, with a certificate of its own if none is given. */
  bind: z.array(z.string().min(1)).min(1).default(["127.0.0.1", "::1"]),
  /** PEM files, relative to the config file; reread by the next front. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  /** How runs are fenced. `coalition`: a launchd job for each, on macOS only, and not yet tried on a real one. */
  containment: z
    .enum(containments)
    .superRefine((containment, context) => {
      const message = containmentProblem(containment);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .default("best"),
  mcpServers: z.custom<object>(isObject, "must be an object of servers by name").default({}),
  session: z
    .strictObject({
      /** A session without requests for this long is ended; its client gets 404 and initializes again. */
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
      /** Other machines on which commands may run, as callers write them. */
      allowHosts: z.array(sshHost).default([]),
      /** Absolute directories that, with their subdirectories, may be working directories. Absent = any. */
      allowDirectories: z.array(fullPath).min(1).optional(),
      /** Bytes kept of each run's output: one half from its beginning, the rest from its end. */
      outputBytesMax: z
        .int()
        .min(4096)
        .max(1024 * 1024 * 1024)
        .default(2 * 1024 * 1024),
      /** A background terminal that is silent for this long, without input or viewer, is ended. 0 = off. */
      noOutputTimeoutMs: milliseconds.default(30 * 60_000),
      /** How long a run survives without a front, by default. */
      keepMs: milliseconds.default(60_000),
      /** Ended background runs kept with their output. */
      historyMax: z.int().min(0).max(1000).default(200),
    })
    .prefault({}),
  /** Holdfast's own tools on `/mcp`, each off or offered to tokens with the given scope. */
  tools: z
    .strictObject({
      /** `exec` and `process`. */
      exec: z.union([z.literal(false), z.enum(["run", "admin"])]).default(false),
      /** `nodes`: commands on other machines, within their own rules. */
      nodes: z.union([z.literal(false), z.enum(["run", "admin"])]).default(false),
      sessions: readerTool,
      status: readerTool,
    })
    .prefault({}),
  stop: z
    .strictObject({
      /** From the end of stdin to SIGTERM, on Windows to Ctrl+Break. */
      stdinGraceMs: milliseconds.default(2000),
      /** From SIGTERM to the kill of the container. None on Windows where Ctrl+Break cannot reach the command. */
      termGraceMs: milliseconds.default(3000),
    })
    .prefault({}),
  limits: z
    .strictObject({
      runsMax: z.int().min(1).max(100_000).default(2000),
      /** MCP servers between spawn and answer to `initialize` at one time; the others wait. */
      startsMax: z.int().min(1).max(1000).default(4),
      /** How long a session waits for silent MCP servers, for `initialize` and all its lists together. */
      listMs: milliseconds.min(1).default(2000),
      messageBytesMax: z
        .int()
        .min(1024)
        .max(64 * 1024 * 1024)
        .default(16 * 1024 * 1024),
      /** How long a call of a client without a session waits for the answers that its server requested. */
      questionMs: milliseconds.min(1).default(10 * 60_000),
      /** Front restarts within `frontRestartWindowMs` before the gateway gives up, ends every run and exits 1. */
      frontRestartsMax: z.int().min(0).max(1000).default(10),
      frontRestartWindowMs: milliseconds.min(1).default(60_000),
      /** How long runs are kept without a front; if none serves by then the gateway ends every run and exits 1. */
      keepMs: milliseconds.min(1).default(60_000),
      /** A front whose event loop is blocked for this long is replaced. 0 = never; it sends a heartbeat every second. */
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
      /** After this long without a heartbeat the other side is lost. The remote side counts whole seconds, at least 2. */
      heartbeatTimeoutMs: milliseconds.min(1000).default(4000),
      /** Runs per connection; sshd allows 10 sessions on one (MaxSessions), and the guardian needs one. */
      runsPerConnection: z.int().min(1).max(1000).default(8),
      /** How long a connection without runs is kept. */
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
  allowedOrigins: z.array(origin).default([]),
  /** Host names accepted in the Host header, in addition to localhost and the loopback addresses. */
  allowedHosts: z.array(z.string().min(1)).default([]),
});

export type Config = Omit<z.output<typeof fileSchema>, "mcpServers"> & Servers;

export const configSchema = fileSchema.transform(({ mcpServers, ...rest }): Config => ({
  ...rest,
  ...readServers(mcpServers),
}));
