/** `connections` of the config: limits and deadlines of every TCP connection. */
import { z } from "zod";

const deadline = z.int().min(100).max(2_147_483_647);

/** Deadlines are judged about five times before each is over, so an end may come a fifth later. */
export const connectionsSchema = z
  .strictObject({
    /** Open connections in all; fewer where 80 % of the descriptor limit are fewer. */
    max: z.int().min(1).max(1_000_000).default(10_000),
    /** Connections of one address that have not proven who they are; above it the oldest of them is let go. */
    unprovenPerAddressMax: z.int().min(1).max(1_000_000).default(256),
    /** From accept, or the first byte of a request, to the end of its head. */
    headMs: deadline.default(5000),
    /** From the first request, or the upgrade, to the right token. */
    authMs: deadline.default(10_000),
    /** An HTTP connection without a request. */
    idleMs: deadline.default(60_000),
    /** A silent WebSocket is asked for a sign of life after so long, and has `heartbeatGraceMs` to give it. */
    heartbeatMs: deadline.default(15_000),
    heartbeatGraceMs: deadline.default(10_000),
    /** A client that takes nothing of what waits for it for so long is let go. */
    slowMs: deadline.default(10_000),
    /** Bytes waiting for one WebSocket: at `pauseBytes` whoever produces them pauses, above `closeBytes` it is let go. */
    pauseBytes: z
      .int()
      .min(1024)
      .default(1024 * 1024),
    closeBytes: z
      .int()
      .min(1024)
      .default(4 * 1024 * 1024),
    /** From our goodbye to the reset. */
    closingMs: deadline.default(2000),
    /** From the close frame to the reset when the gateway stops. */
    drainMs: deadline.default(5000),
  })
  .prefault({});
