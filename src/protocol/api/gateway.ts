/** `gateway.*`: the gateway itself. */
import { z } from "zod";
import { unavailableShape } from "../keeper/front-config.ts";
import { keeperStatusShape } from "../keeper/status.ts";
import { method } from "./define.ts";

const statusShape = keeperStatusShape
  .extend({
    url: z.string(),
    urls: z.array(z.string()),
    sessions: z.int(),
    unavailableServers: z.array(unavailableShape).describe("configured servers that cannot start, and why"),
    silentServers: z
      .array(z.object({ name: z.string(), silentSince: z.int() }))
      .describe("servers whose lists did not come in time, until they do"),
    nodes: z.object({
      connected: z.int(),
      absent: z.int().describe("approved, not connected"),
      pending: z.int().describe("waiting for approval"),
      runs: z.int().describe("live runs on nodes"),
    }),
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
