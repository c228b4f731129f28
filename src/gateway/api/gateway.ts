/** `gateway.*`: the gateway itself. */
import { z } from "zod";
import type { KeeperStatus } from "../../keeper/protocol/status.ts";
import { method } from "./define.ts";
import { unavailableShape } from "./mcp.ts";
import { crashShape, time } from "./shapes.ts";

const processFigures = z.object({ pid: z.int(), rssBytes: z.int() });
const restartedProcess = z.object({
  pid: z.int().describe("0: none lives at this moment"),
  rssBytes: z.int(),
  restarts: z.int(),
  state: z.enum(["idle", "starting", "serving", "draining", "gone"]),
  problem: z.string().nullable().describe("why the system started none the last time; null: it did"),
});

/** The shape of `status --json`. */
export interface GatewayStatus extends KeeperStatus {
  url: string;
  urls: string[];
  /** Sessions that are open now. */
  sessions: number;
  /** Servers of the config that cannot be had as things are. */
  unavailableServers: { name: string; problem: string }[];
  nodes: { connected: number; absent: number; pending: number; runs: number };
}

const statusShape = z
  .object({
    version: z.string(),
    tier: z.string().describe("containment tier"),
    epoch: z.int().describe("one life of the keeper"),
    url: z.string(),
    urls: z.array(z.string()),
    keeper: processFigures,
    front: restartedProcess,
    guardian: restartedProcess,
    sessions: z.int(),
    unavailableServers: z.array(unavailableShape).describe("servers of the config that something is missing for"),
    nodes: z
      .object({
        connected: z.int(),
        absent: z.int().describe("approved, and not here"),
        pending: z.int().describe("wait to be approved"),
        runs: z.int().describe("live ones on nodes"),
      })
      .describe("other machines that offer to run things"),
    runs: z.int().describe("alive now, on this machine"),
    hosts: z
      .array(
        z.object({
          host: z.string(),
          tier: z.string().nullable().describe("containment on that machine; null before it was reached"),
          connections: z.int(),
          runs: z.int(),
          sweeping: z.boolean().describe("owed a look at what a lost connection or an earlier life left"),
        }),
      )
      .describe("far sides of ssh runs"),
    orphansSwept: z.int().describe("found and ended by this start"),
    reconciled: z.array(z.string()).describe("what the start found, in words"),
    crashes: z.array(crashShape),
    startedAt: time,
  })
  .meta({ id: "Status", title: "What runs, and how well it is held" });
statusShape satisfies z.ZodType<GatewayStatus>;

export const gatewayApi = {
  "gateway.status": method({
    summary: "What runs, how well it is held, and what went wrong.",
    scope: "read",
    params: z.strictObject({}),
    result: statusShape,
    errors: [],
  }),
  "gateway.ping": method({
    summary: "Says back what it was told, to see that the gateway answers and how fast.",
    scope: "read",
    params: z.strictObject({ data: z.string().max(65_536).default("") }),
    result: z.object({ data: z.string() }),
    errors: [],
  }),
  "gateway.stop": method({
    summary: "Ends the gateway in order; the answer comes before the end.",
    scope: "admin",
    params: z.strictObject({}),
    result: z.null(),
    errors: [],
  }),
  "gateway.restart": method({
    summary: "Replaces the front, or with `all` ends every run and starts everything again.",
    scope: "admin",
    params: z.strictObject({ all: z.boolean().default(false) }),
    result: z.null(),
    errors: [],
  }),
};
