/** `node` of the config: what this machine lets a gateway do when it is a node (`holdfast node run`), and how long it waits. */
import { z } from "zod";

const deadline = z.int().min(100).max(2_147_483_647);

export const nodeSchema = z
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
