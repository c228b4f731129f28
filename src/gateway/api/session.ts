/** `session.*`: clients' stays. */
import { z } from "zod";
import { method } from "./define.ts";
import { sessionShape } from "./shapes.ts";

const leaseMsDefault = 60_000;
const leaseMsMax = 24 * 60 * 60_000;
const nameMax = 100;

export const sessionApi = {
  "session.open": method({
    summary:
      "Opens a session that this connection holds. When the connection is gone the session lives on for its lease, within which another connection may resume it; then it ends with all it owns.",
    scope: "run",
    transport: "websocket",
    params: z.strictObject({
      client: z
        .strictObject({ name: z.string().max(nameMax), version: z.string().max(nameMax) })
        .default({ name: "", version: "" }),
      parentId: z.string().nullable().default(null).describe("the session of the caller's that this one ends with"),
      leaseMs: z.int().min(100).max(leaseMsMax).default(leaseMsDefault),
    }),
    result: sessionShape,
    errors: ["session_limit", "session_unknown"],
  }),
  "session.resume": method({
    summary:
      "Holds a session of the caller's that was opened with `session.open` over this connection. Events that were missed come with `events.subscribe {after}`.",
    scope: "run",
    transport: "websocket",
    params: z.strictObject({ id: z.string() }),
    result: sessionShape,
    errors: ["session_unknown"],
  }),
  "session.list": method({
    summary: "Every open session. The ids of sessions that are not the caller's are cut short.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(sessionShape),
    errors: [],
  }),
  "session.end": method({
    summary: "Ends a session of the caller's and all it owns; answers when nothing of it is left.",
    scope: "run",
    params: z.strictObject({ id: z.string() }),
    result: z.null(),
    errors: ["session_unknown", "survivors"],
  }),
};
