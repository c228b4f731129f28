/** `events.*`: what happens to the things that the gateway holds. */
import { z } from "zod";
import { lifecycleMeanings, type LifecycleName } from "../../events.ts";
import { method } from "./define.ts";

const names = Object.keys(lifecycleMeanings) as [LifecycleName, ...LifecycleName[]];

const positionShape = z.object({
  stream: z.string().describe("names this numbering; a new front begins another"),
  last: z.int().describe("number of the newest event"),
});

export const eventsApi = {
  "events.subscribe": method({
    summary:
      "From now on each event comes as a notification `event` with `{seq, name, at, data}`, `seq` counting up by one. With `after` and `stream` those that were missed come first. One subscription per connection: another one replaces it.",
    scope: "read",
    transport: "websocket",
    params: z.strictObject({
      names: z
        .array(z.enum(names))
        .min(1)
        .optional()
        .describe("only these, see [events.md](events.md); all by default. Numbers of others are left out"),
      after: z.int().min(0).optional().describe("number of the last event that was seen; from now on by default"),
      stream: z.string().optional().describe("to which `after` belongs; required with it"),
    }),
    result: positionShape,
    errors: ["gap"],
  }),
  "events.unsubscribe": method({
    summary: "No more events on this connection.",
    scope: "read",
    transport: "websocket",
    params: z.strictObject({}),
    result: z.null(),
    errors: [],
  }),
};
