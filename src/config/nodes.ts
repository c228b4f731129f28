/** `nodes` of the config: how long what runs on another machine may do without this gateway, and how soon silence is noticed. */
import { z } from "zod";

const milliseconds = z.int().min(1).max(2_147_483_647);
/** Silence is loss after three beats; a lease must be longer than that by more than a moment. */
const beatsPerLeaseMin = 5;

export const nodesSchema = z
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
