/** Limits of every WebSocket of the gateway. */
import type { ConnectionLimits } from "../connections/connection.ts";

const fragmentsMax = 1024;
const chunksMax = 4096;
/** Unsent pongs; above it pings are not answered. */
const pongsMax = 16;

/** Options of ws, some missing from its types. */
export function newerOptions(limits: ConnectionLimits): {
  maxFragments: number;
  maxBufferedChunks: number;
  maxPendingAutoPongs: number;
  closeTimeout: number;
} {
  return {
    maxFragments: fragmentsMax,
    maxBufferedChunks: chunksMax,
    maxPendingAutoPongs: pongsMax,
    // Our timeout comes first, and resets.
    closeTimeout: limits.closingMs * 4 + 5000,
  };
}
