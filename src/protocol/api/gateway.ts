/** `gateway.*`: the gateway itself. */
import { z } from "zod";
import { method } from "./define.ts";
import { unavailableShape } from "./mcp.ts";
import { crashShape, time } from "./shapes.ts";

const processFigures = z.object({ pid: z.int(), rssBytes: z.int() });
const restartedProcess = z.object({
  pid: z.int().describe("0: none alive"),
  rssBytes: z.int(),
  restarts: z.int(),
  state: z.enum(["idle", "starting", "serving", "draining", "gone"]),
  problem: z.string().nullable().describe("why the last start failed, or null"),
});

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
    unavailableServers: z.array(unavailableShape).describe("configured servers that cannot start, and why"),
    nodes: z.object({
      connected: z.int(),
      absent: z.int().describe("approved, not connected"),
      pending: z.int().describe("waiting for approval"),
      runs: z.int().describe("live runs on nodes"),
    }),
    runs: z.int().describe("live runs on this machine"),
    hosts: z
      .array(
        z.object({
          host: z.string(),
          tier: z.string().nullable().describe("null before the first connection"),
          connections: z.int(),
          runs: z.int(),
          sweeping: z.boolean().describe("still to be checked for processes of lost connections"),
        }),
      )
      .describe("ssh hosts"),
    orphansSwept: z.int().describe("processes of earlier lives, ended by this start"),
    reconciled: z.array(z.string()).describe("what this start found"),
    crashes: z.array(crashShape),
    startedAt: time,
  })
  .meta({ id: "Status", title: "State of the gateway" });
/** The shape of `status --json`. */
export type GatewayStatus = z.infer<typeof statusShape>;

export const gatewayApi = {
  "gateway.status": method({
    summary: "State of the gateway.",
    scope: "read",
    params: z.strictObject({}),
    result: statusShape,
    errors: [],
  }),
  "gateway.ping": method({
    summary: "Echoes `data`.",
    scope: "read",
    params: z.strictObject({ data: z.string().max(65_536).default("") }),
    result: z.object({ data: z.string() }),
    errors: [],
  }),
  "gateway.stop": method({
    summary: "Stops the gateway in order; answers first.",
    scope: "admin",
    params: z.strictObject({}),
    result: z.null(),
    errors: [],
  }),
  "gateway.restart": method({
    summary: "Replaces the front. `all` ends every run and restarts everything.",
    scope: "admin",
    params: z.strictObject({ all: z.boolean().default(false) }),
    result: z.null(),
    errors: [],
  }),
};
