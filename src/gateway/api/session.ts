/** `session.*`: clients' stays. */
import { z } from "zod";
import { method } from "./define.ts";
import { sessionShape } from "./shapes.ts";

export const sessionApi = {
  "session.list": method({
    summary: "Every open session.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(sessionShape),
    errors: [],
  }),
  "session.end": method({
    summary: "Ends a session and all it owns; answers when nothing of it is left.",
    scope: "run",
    params: z.strictObject({ id: z.string() }),
    result: z.null(),
    errors: ["session_unknown", "survivors"],
  }),
};
