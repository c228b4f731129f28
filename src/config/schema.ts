/** The shape of `holdfast.json`. Every key, its unit and its default is here; docs/config.md says the same in words. */
import { z } from "zod";

const milliseconds = z.int().min(0).max(2_147_483_647);

/** One stdio MCP server, by the keys that every MCP client uses. */
const serverSchema = z.strictObject({
  command: z.string().min(1, "must name a program"),
  args: z.array(z.string()).default([]),
  /** Added to a clean base environment (PATH, HOME, LANG …); nothing else of the gateway's own is passed on. */
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().min(1).optional(),
  enabled: z.boolean().default(true),
  /** A request without an answer for so long is cancelled and answered with an error. 0 = never. */
  requestTimeoutMs: milliseconds.default(0),
  /** Time for the server to answer `initialize`. */
  connectionTimeoutMs: milliseconds.default(60_000),
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
export type ServerConfig = z.output<typeof serverSchema>;

/** Server names become part of paths and tool names: letters, digits, `-` and `_`. */
const serverName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, "names are letters, digits, - and _, at most 32");

export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  port: z.int().min(0).max(65_535).default(4653),
  /** Addresses to listen on; loopback only until there is TLS. */
  bind: z.array(z.string().min(1)).min(1).default(["127.0.0.1", "::1"]),
  mcpServers: z.record(serverName, serverSchema).default({}),
  session: z
    .strictObject({
      /** A session that nobody spoke to for so long is ended; its client gets 404 and begins anew. */
      idleLeaseMs: milliseconds.min(1).default(30 * 60_000),
      sessionsMax: z.int().min(1).max(100_000).default(1000),
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
      messageBytesMax: z
        .int()
        .min(1024)
        .max(64 * 1024 * 1024)
        .default(16 * 1024 * 1024),
      /** Front restarts within `frontRestartWindowMs` before the gateway gives up, ends every run and exits 1. */
      frontRestartsMax: z.int().min(0).max(1000).default(10),
      frontRestartWindowMs: milliseconds.min(1).default(60_000),
      /** A front whose loop gives no sign for so long is ended and replaced. 0 = never; it gives one a second. */
      frontStuckMs: milliseconds
        .refine((ms) => ms === 0 || ms >= 2000, "must be 0 (never) or at least 2000")
        .default(5000),
    })
    .prefault({}),
  /** Browser origins that may call, besides the gateway's own address; e.g. "http://localhost:3000". */
  allowedOrigins: z.array(z.url()).default([]),
  /** Host names that may be in the Host header, besides localhost and the loopback addresses. */
  allowedHosts: z.array(z.string().min(1)).default([]),
});
export type Config = z.output<typeof configSchema>;
