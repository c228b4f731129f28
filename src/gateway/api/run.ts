/** `run.*`: process trees. */
import { z } from "zod";
import { method } from "./define.ts";
import { runShape } from "./shapes.ts";

export const runApi = {
  "run.list": method({
    summary: "The live runs with their processes; with `all` the ended ones that are remembered, too.",
    scope: "read",
    params: z.strictObject({ all: z.boolean().default(false) }),
    result: z.array(runShape),
    errors: [],
  }),
};
