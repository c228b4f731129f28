/** Limits that every WebSocket of the gateway has, whoever speaks over it. */
import type { ConnectionLimits } from "../connections/connection.ts";

const fragmentsMax = 1024;
const chunksMax = 4096;
/** Pongs that wait to be sent; further pings of the client are not answered. */
const pongsMax = 16;

/** Options of ws, some of which its types do not know yet. */
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
    // Ours comes first, and resets.
    closeTimeout: limits.closingMs * 4 + 5000,
  };
}
