/** `session.*`: clients and what they own. */
import { z } from "zod";
import { method } from "./define.ts";
import { time } from "../shapes.ts";

const sessionShape = z
  .object({
    id: z.string(),
    kind: z.enum(["mcp", "ws", "stdio"]).describe("transport of the client"),
    client: z.object({ name: z.string(), version: z.string() }),
    parentId: z.string().nullable(),
    createdAt: time,
    lastSeenAt: time,
    leaseMs: z.int().describe("how long it survives without its client"),
    present: z.boolean().describe("its client has an open request, stream or socket"),
    server: z.string().nullable().describe("the server of `/mcp/<server>`"),
    runs: z.array(z.string()).describe("run ids"),
  })
  .meta({ id: "Session", title: "One client and what it owns" });
export type SessionView = z.infer<typeof sessionShape>;

const leaseMsDefault = 60_000;
const leaseMsMax = 24 * 60 * 60_000;
const nameMax = 100;

export const sessionApi = {
  "session.open": method({
    summary:
      "Opens a session held by this connection. After a disconnect it can be resumed within its lease; then it ends with all it owns.",
    scope: "run",
    transport: "websocket",
    params: z.strictObject({
      client: z
        .strictObject({ name: z.string().max(nameMax), version: z.string().max(nameMax) })
        .default({ name: "", version: "" }),
      parentId: z.string().nullable().default(null).describe("one of the caller's sessions, with which this one ends"),
      leaseMs: z.int().min(100).max(leaseMsMax).default(leaseMsDefault),
    }),
    result: sessionShape,
    errors: ["session_limit", "session_unknown"],
  }),
  "session.resume": method({
    summary:
      "Resumes one of the caller's sessions on this connection. `events.subscribe {after}` brings missed events.",
    scope: "run",
    transport: "websocket",
    params: z.strictObject({ id: z.string() }),
    result: sessionShape,
    errors: ["session_unknown"],
  }),
  "session.list": method({
    summary: "Every open session. Other callers' session ids are truncated.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(sessionShape),
    errors: [],
  }),
  "session.end": method({
    summary: "Ends one of the caller's sessions and all it owns; answers when that is gone.",
    scope: "run",
    params: z.strictObject({ id: z.string() }),
    result: z.null(),
    errors: ["session_unknown", "survivors"],
  }),
};
