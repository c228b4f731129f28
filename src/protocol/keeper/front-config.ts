/** The part of the config that the front may know: no command, argument or environment, except of servers that nodes run. */
import { z } from "zod";
import { limitsShape } from "../background.ts";

/** What a token may do: look; start and use things; govern the gateway itself, which includes the other two. */
export const tokenScopes = ["read", "run", "admin"] as const;
export type TokenScope = (typeof tokenScopes)[number];

/** A token as the front knows it: enough to recognise it, not enough to use it. */
export const tokenGrantShape = z.strictObject({
  id: z.string(),
  name: z.string(),
  /** SHA-256 of the token, hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(tokenScopes)),
  /** Milliseconds since the epoch; null = never. */
  expiresAt: z.number().nullable(),
});
export type TokenGrant = z.infer<typeof tokenGrantShape>;

/** A server on a node: where, what is started there, and where else while that node is away. */
const nodePlaceShape = z.strictObject({
  /** Name of the node. */
  host: z.string(),
  /** `local` or a node's name; null = nowhere: calls are errors until the node is back. */
  fallback: z.string().nullable(),
  argv: z.array(z.string()),
  cwd: z.string().nullable(),
  env: z.record(z.string(), z.string()),
  limits: limitsShape,
});
export type NodePlace = z.infer<typeof nodePlaceShape>;

/** One MCP server as the front may know it: how to treat it, not what it is. */
export const frontServerShape = z.strictObject({
  name: z.string(),
  /** As the config calls it, where that cannot be part of a path. */
  writtenName: z.string().optional(),
  /** Why it cannot be had as things are, and what to do; absent = it can. */
  problem: z.string().optional(),
  kind: z.enum(["stdio", "http", "sse"]),
  enabled: z.boolean(),
  requestTimeoutMs: z.number(),
  connectionTimeoutMs: z.number(),
  share: z.enum(["session", "pool"]),
  idleTimeoutMs: z.number(),
  maxLifetimeMs: z.number(),
  /** Equal for two servers only if command, arguments, directory and environment are, or address and headers. */
  fingerprint: z.string(),
  /** Said with its timeout: what may be wrong with a program that downloads what it runs. */
  timeoutHint: z.string().optional(),
  /** Of a remote server, which the front speaks to itself: its address, and what is sent with each request. */
  url: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  /** Whether one may log in there (OAuth): not where the config has credentials for it, or says no. */
  oauth: z.boolean().optional(),
  /** Of a server on a node, which the front asks for it. */
  node: nodePlaceShape.optional(),
});
export type FrontServer = z.infer<typeof frontServerShape>;

const toolScope = z.union([z.enum(tokenScopes), z.literal(false)]);

export const frontConfigShape = z.strictObject({
  port: z.int(),
  bind: z.array(z.string()),
  /** Certificate (with its chain) and key, PEM; null = plain HTTP. */
  tls: z.strictObject({ cert: z.string(), key: z.string() }).nullable(),
  servers: z.array(frontServerShape),
  session: z.strictObject({ idleLeaseMs: z.number(), sessionsMax: z.number() }),
  /** Limits and deadlines of connections; each is explained in docs/config.md. */
  connections: z.strictObject({
    max: z.number(),
    unprovenPerAddressMax: z.number(),
    headMs: z.number(),
    authMs: z.number(),
    idleMs: z.number(),
    heartbeatMs: z.number(),
    heartbeatGraceMs: z.number(),
    slowMs: z.number(),
    pauseBytes: z.number(),
    closeBytes: z.number(),
    closingMs: z.number(),
    drainMs: z.number(),
  }),
  allowedOrigins: z.array(z.string()),
  allowedHosts: z.array(z.string()),
  /** How long a call waits for a client that has no session and was asked something, in milliseconds. */
  questionMs: z.number(),
  /** Largest JSON-RPC message either way, in bytes. */
  messageBytesMax: z.number(),
  /** MCP servers that may be starting at one time. */
  startsMax: z.number(),
  /** How long a session waits for servers that do not answer, for `initialize` and all its lists together, in milliseconds. */
  listMs: z.number(),
  /** Times of nodes, in milliseconds; each is explained in docs/config.md. */
  nodes: z.strictObject({ leaseMs: z.number(), beatMs: z.number(), pendingMs: z.number() }),
  /** Holdfast's own tools on `/mcp`: the scope that a token needs for them; false = off. `exec` is `process` too. */
  tools: z.strictObject({ exec: toolScope, sessions: toolScope, status: toolScope, nodes: toolScope }),
});
export type FrontConfig = z.infer<typeof frontConfigShape>;

const names = z.array(z.string());
/** A server of the config that cannot be had as it stands. */
export const unavailableShape = z.strictObject({ name: z.string(), problem: z.string().describe("reason and remedy") });

/** What a reload of the config changed. */
export const configChangeShape = z.strictObject({
  added: names,
  removed: names,
  changed: names.describe("new calls go to new processes; old ones end with their last call"),
  unchanged: names.describe("processes and sessions continue"),
  needsRestart: names.describe("keys that need `holdfast restart --all`, such as `port`"),
  unavailable: z.array(unavailableShape).describe("servers that cannot start; the others are served"),
});
export type ConfigChange = z.infer<typeof configChangeShape>;
