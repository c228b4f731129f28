/** `events.*`: lifecycle events. */
import { z } from "zod";
import { lifecycleMeanings, type LifecycleName } from "../../events.ts";
import { method } from "./define.ts";

const names = Object.keys(lifecycleMeanings) as [LifecycleName, ...LifecycleName[]];

const positionShape = z.object({
  stream: z.string().describe("identifies the numbering; each front has its own"),
  last: z.int().describe("sequence number of the newest event"),
});

export const eventsApi = {
  "events.subscribe": method({
    summary:
      "Sends each event as a notification `event` with `{seq, name, at, data}`; `seq` counts up by one. With `after` and `stream`, missed events come first. A new subscription replaces the connection's earlier one.",
    scope: "read",
    transport: "websocket",
    params: z.strictObject({
      names: z
        .array(z.enum(names))
        .min(1)
        .optional()
        .describe("names from events.md; default: all. The numbers of others are skipped"),
      after: z.int().min(0).optional().describe("last event seen; default: from now on"),
      stream: z.string().optional().describe("of `after`; required with it"),
    }),
    result: positionShape,
    errors: ["gap"],
  }),
  "events.unsubscribe": method({
    summary: "Ends this connection's subscription.",
    scope: "read",
    transport: "websocket",
    params: z.strictObject({}),
    result: z.null(),
    errors: [],
  }),
};
